"""SavedModels with variables become SavedModels with tables, without their Python."""

from tf_hps.saved_model.rewriting.report import RewriteReport as RewriteReport
from tf_hps.saved_model.rewriting.rewriter import rewrite as rewrite
