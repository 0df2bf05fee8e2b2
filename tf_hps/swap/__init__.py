"""Moves the embeddings of Keras models into tables, and back."""

from tf_hps import _library

_library.check_keras_backend()

from tf_hps.swap.report import EmbeddingReport as EmbeddingReport  # noqa: E402
from tf_hps.swap.report import SwapReport as SwapReport  # noqa: E402
from tf_hps.swap.report import swap_report as swap_report  # noqa: E402
from tf_hps.swap.restore import restore_embeddings as restore_embeddings  # noqa: E402
from tf_hps.swap.swap import swap_embeddings as swap_embeddings  # noqa: E402
