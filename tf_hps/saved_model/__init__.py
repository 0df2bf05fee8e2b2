"""SavedModels that look rows up in tables: writing and loading them."""

from tf_hps.saved_model.exporting import export as export
from tf_hps.saved_model.loading import load as load
from tf_hps.saved_model.rewriting import RewriteReport as RewriteReport
from tf_hps.saved_model.rewriting import rewrite as rewrite
