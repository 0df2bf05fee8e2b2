"""Keras layers over tables."""

from tf_hps import _library

_library.check_keras_backend()

from tf_hps.layers.hps_embedding import HpsEmbedding as HpsEmbedding  # noqa: E402
from tf_hps.layers.hps_embedding_group import (  # noqa: E402
    HpsEmbeddingGroup as HpsEmbeddingGroup,
)
from tf_hps.layers.hps_keys import HpsKeys as HpsKeys  # noqa: E402
