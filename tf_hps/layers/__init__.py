"""Keras layers over tables."""

from tf_hps.layers.hps_embedding import HpsEmbedding as HpsEmbedding
