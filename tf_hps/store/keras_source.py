"""Rows of Keras variables and layers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tf_hps.store import row_formats
from tf_hps.store.sources import ArraySource, Batch, RowSource, slices


def from_keras(layer_or_variable: Any) -> RowSource:
    """The rows of a Keras Embedding, or of a variable [rows, embedding_dim] of Keras or TensorFlow.

    Rows keep the variable's type, whatever the layer computes in. int8 rows of a quantized layer
    move bit for bit; LoRA is merged into the rows, and so is any other quantization.

    Args:
        layer_or_variable: A built `keras.layers.Embedding`, or a variable.
    """
    if not hasattr(layer_or_variable, "input_dim"):
        name = getattr(layer_or_variable, "path", None) or getattr(layer_or_variable, "name", "?")
        return ArraySource(layer_or_variable, description=f"variable {name!r}")
    layer = layer_or_variable
    if not layer.built:
        raise ValueError(f"Layer {layer.name!r} has no rows yet; build it or call it once")
    mode = getattr(layer, "quantization_mode", None)
    if getattr(layer, "lora_enabled", False) or mode not in (None, "int8"):
        return _ComputedSource(layer)
    if mode == "int8":
        return _QuantizedSource(layer)
    return ArraySource(layer.embeddings, description=f"layer {layer.name!r}")


class _QuantizedSource(RowSource):
    """Keras' int8 rows: element i is int8[i] / scale, as in a store."""

    row_format = "int8"
    ascending = True

    def __init__(self, layer: Any) -> None:
        self.rows, self.embedding_dim = int(layer.input_dim), int(layer.output_dim)
        self.description = f"layer {layer.name!r}"
        self._quantized, self._scale = layer._embeddings, layer.embeddings_scale

    def __iter__(self) -> Iterator[Batch]:
        for start, stop in slices(self.rows or 0, self.embedding_dim):
            quantized = np.asarray(self._quantized[start:stop])
            scale = np.asarray(self._scale[start:stop]).astype(np.float32)
            keys = np.arange(start, stop, dtype=np.int64)
            yield keys, row_formats.pack_quantized(quantized, scale)


class _ComputedSource(RowSource):
    """Rows as the layer answers for them, where no variable holds them."""

    ascending = True

    def __init__(self, layer: Any) -> None:
        self.rows, self.embedding_dim = int(layer.input_dim), int(layer.output_dim)
        self.row_format = str(layer.compute_dtype)
        row_formats.check_row_format(self.row_format)
        self.description = f"layer {layer.name!r}"
        self._layer = layer

    def __iter__(self) -> Iterator[Batch]:
        for start, stop in slices(self.rows or 0, self.embedding_dim):
            keys = np.arange(start, stop, dtype=np.int64)
            yield keys, np.asarray(self._layer(keys))
