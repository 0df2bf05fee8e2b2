"""SavedModels that look rows up in tables: writing and loading them."""

from tf_hps.saved_model.export import export as export
from tf_hps.saved_model.load import load as load
