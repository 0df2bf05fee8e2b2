"""A budget of memory, split over tables."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np

from tf_hps.capacity.hit_rate_curve import HitRateCurve

# What a bounded tier takes for a row beside its bytes: index, counters and sketch (docs/operations.md, "Memory",
# has the sum in the log).
OVERHEAD_BYTES = 25


def split_budget(
    curves: Mapping[str, HitRateCurve], row_bytes: Mapping[str, int], budget: int
) -> dict[str, int]:
    """Rows for each table so that most of all lookups hit, within `budget` bytes.

    Memory goes piece by piece to where a byte brings most hits. Pieces are those of the curve's upper hull:
    where a curve is flat first and steep later, it is taken as a whole or not.

    Args:
        curves: By table.
        row_bytes: Bytes of a stored row, by table.
        budget: Bytes for all tables.
    """
    rows = dict.fromkeys(curves, 0)
    hulls = {name: _upper_hull(curve) for name, curve in curves.items()}
    pieces: list[tuple[float, str, int]] = []

    def offer(name: str, start: int) -> None:
        hull = hulls[name]
        if start + 1 < len(hull):
            (from_rows, from_hits), (to_rows, to_hits) = hull[start], hull[start + 1]
            cost = (to_rows - from_rows) * (row_bytes[name] + OVERHEAD_BYTES)
            heapq.heappush(pieces, (-(to_hits - from_hits) / cost, name, start))

    for name in curves:
        offer(name, 0)
    left = budget
    while pieces:
        gain, name, start = heapq.heappop(pieces)
        wanted = int(hulls[name][start + 1][0] - hulls[name][start][0])
        per_row = row_bytes[name] + OVERHEAD_BYTES
        given = min(wanted, left // per_row)
        if gain >= 0 or given == 0:
            continue
        rows[name] += given
        left -= given * per_row
        if given == wanted:
            offer(name, start + 1)
    return rows


def _upper_hull(curve: HitRateCurve) -> list[tuple[int, float]]:
    """Corners (rows, hits) of the smallest concave line above the curve."""
    hull: list[tuple[int, float]] = []
    for rows, hits in zip(
        curve.capacities.tolist(), (curve.hit_rates * curve.lookups).tolist(), strict=True
    ):
        while len(hull) >= 2 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], (rows, hits)):
            hull.pop()
        hull.append((rows, hits))
    # From the highest point on there is nothing to gain.
    best = int(np.argmax([hits for _, hits in hull]))
    return hull[: best + 1]


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
