"""A Keras layer that looks several features up at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_hps.embedding_ops import embedding_lookup_group
from tf_hps.layers.hps_embedding import HpsEmbedding


@keras.saving.register_keras_serializable(package="tf_hps")
class HpsEmbeddingGroup(keras.layers.Layer):
    """Turns a dictionary of ids into one of rows, with one op for all tables.

    Each feature has the output, and the mask, of its own `HpsEmbedding`. See
    `tf_hps.embedding_lookup_group` for what is gained.

    Args:
        layers: An `HpsEmbedding` without a combiner under each feature's name; a layer may come more
            than once.
        **kwargs: `name` of the layer.

    Call arguments:
        inputs: A dictionary with ids of any shape, dense, ragged or sparse, under the same names.

    Returns:
        A dictionary with rows under the same names: shape `(*ids.shape, output_dim)` each.

    Example:

    ```python
    config = tf_hps.Config(
        deployment="group-doc",
        memory=tf_hps.MemoryConfig(),
        tables={name: tf_hps.TableConfig(embedding_dim=2) for name in ("user", "movie")},
    )
    layers = {
        name: tf_hps.layers.HpsEmbedding(config=config, table_name=name) for name in config.tables
    }
    features = {"user": np.array([7]), "movie": np.array([[1, 2], [3, 4]])}
    rows = tf_hps.layers.HpsEmbeddingGroup(layers)(features)  # user: [1, 2], movie: [2, 2, 2]
    ```
    """

    def __init__(self, layers: Mapping[str, HpsEmbedding], **kwargs: Any) -> None:
        for name, layer in layers.items():
            if not isinstance(layer, HpsEmbedding) or layer.combiner is not None:
                raise TypeError(
                    "`layers` are HpsEmbeddings without a combiner. "
                    f"Received: layers[{name!r}]={layer}"
                )
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        self.autocast = False
        self.supports_jit = False
        self.supports_masking = True
        self.layers = dict(layers)
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self._check_names(inputs)
        if not all(isinstance(layer, HpsEmbedding) for layer in self.layers.values()):
            # restore_embeddings put Embeddings there.
            return {name: layer(inputs[name]) for name, layer in self.layers.items()}
        tables = {name: layer.table for name, layer in self.layers.items()}
        ids = {name: layer.to_ids(inputs[name]) for name, layer in self.layers.items()}
        rows = embedding_lookup_group(tables, ids)
        return {
            name: tf.cast(rows[name], layer.compute_dtype) for name, layer in self.layers.items()
        }

    def compute_mask(self, inputs: Mapping[str, Any], mask: Any = None) -> dict[str, Any]:
        return {name: layer.compute_mask(inputs[name]) for name, layer in self.layers.items()}

    def compute_output_spec(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self._check_names(inputs)
        return {
            name: layer.compute_output_spec(inputs[name]) for name, layer in self.layers.items()
        }

    def get_config(self) -> dict[str, Any]:
        layers = {
            name: keras.saving.serialize_keras_object(layer) for name, layer in self.layers.items()
        }
        return {**super().get_config(), "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HpsEmbeddingGroup:
        layers = {
            name: keras.saving.deserialize_keras_object(layer)
            for name, layer in config["layers"].items()
        }
        return cls(**{**config, "layers": layers})

    def _check_names(self, inputs: Any) -> None:
        if not isinstance(inputs, Mapping) or set(inputs) != set(self.layers):
            received = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
            raise ValueError(
                f"`inputs` are a dictionary with the names {sorted(self.layers)}. Received: {received}"
            )
