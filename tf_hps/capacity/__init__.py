"""How large a tier in memory should be: hit rates against capacity, from what was asked for."""

from tf_hps.capacity.budget import split_budget as split_budget
from tf_hps.capacity.hit_rate_curve import HitRateCurve as HitRateCurve
from tf_hps.capacity.hit_rate_curve import hit_rate_curve as hit_rate_curve
from tf_hps.capacity.server_tables import ServerTable as ServerTable
from tf_hps.capacity.server_tables import server_tables as server_tables
