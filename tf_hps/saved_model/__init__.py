"""SavedModels that look rows up in tables: writing and loading them."""

from tf_hps.saved_model.exporting import export as export
from tf_hps.saved_model.hot_keys import read_hot_keys as read_hot_keys
from tf_hps.saved_model.hot_keys import write_hot_keys as write_hot_keys
from tf_hps.saved_model.loading import load as load
from tf_hps.saved_model.rewriting import RewriteReport as RewriteReport
from tf_hps.saved_model.rewriting import rewrite as rewrite
from tf_hps.saved_model.warmup_requests import write_warmup_requests as write_warmup_requests
