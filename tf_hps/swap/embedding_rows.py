"""The rows of an Embedding layer, as its call returns them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras.src import backend

from tf_hps.store import RowSource
from tf_hps.store.row_formats import pack_quantized
from tf_hps.store.sources import Batch, slices

# Row formats that keep the elements of a variable as they are.
_EXACT = ("float32", "float16", "bfloat16")


def exact_row_format(layer: Any, autocast: str | None = None) -> str | None:
    """The row format that keeps the layer's rows bit for bit, or None where there is none."""
    if _keeps_quantized(layer):
        return "int8"
    # Merged and dequantized rows have the dtype in which the layer returned them.
    merged = layer.lora_enabled or layer.quantization_mode
    dtype = output_dtype(layer, autocast) if merged else layer._embeddings.dtype
    return dtype if dtype in _EXACT else None


def output_dtype(layer: Any, autocast: str | None = None) -> str:
    """The dtype of the layer's output, which is not always its compute dtype.

    Keras divides quantized elements of the compute dtype by a scale, which is cast to it only where
    the call comes from outside of a mixed precision model.
    """
    if layer.quantization_mode is None or layer.lora_enabled:
        return layer.compute_dtype
    return keras.backend.result_type(layer.compute_dtype, autocast or layer.variable_dtype)


def describe_rows(layer: Any) -> str:
    """What becomes of the layer's rows, for the report."""
    words = []
    if layer.quantization_mode:
        kept = _keeps_quantized(layer)
        words.append(f"{layer.quantization_mode} as quantized" if kept else "dequantized")
    if layer.lora_enabled:
        words.append(f"LoRA of rank {layer.lora_rank} merged")
    return ", ".join(words) or "moved"


def _keeps_quantized(layer: Any) -> bool:
    if layer.lora_enabled:
        return False
    # int4 with a scale a row is int8 with smaller numbers; groups of columns have scales of their own.
    blocks = getattr(layer, "_int4_block_size", None)
    return layer.quantization_mode == "int8" or (
        layer.quantization_mode == "int4" and blocks in (None, -1)
    )


class EmbeddingRows(RowSource):
    """Rows 0 to input_dim - 1 of a built Embedding.

    Args:
        layer: the layer.
        row_format: the format they are to be stored in.
        autocast: the dtype to which variables are cast inside of the layer's call, if any: the scale
            of quantized rows is one of them.
    """

    ascending = True

    def __init__(self, layer: Any, row_format: str, autocast: str | None = None):
        self.rows = layer.input_dim
        self.embedding_dim = layer.output_dim
        self.row_format = row_format
        self.description = f"Embedding `{layer.path}`"
        self._layer = layer
        self._autocast = autocast
        self._merged: tf.Tensor | None = None

    def __iter__(self) -> Iterator[Batch]:
        for start, stop in slices(self.rows or 0, self.embedding_dim):
            yield np.arange(start, stop, dtype=np.int64), self._batch(start, stop)

    def _batch(self, start: int, stop: int) -> npt.NDArray[Any]:
        layer = self._layer
        if layer.lora_enabled or layer.quantization_mode:
            if self.row_format == "int8" and _keeps_quantized(layer):
                return self._quantized(start, stop)
            with backend.AutocastScope(self._autocast):
                return self._computed(start, stop).numpy()
        rows = tf.convert_to_tensor(layer._embeddings.value)[start:stop]
        # float64 rows move only where the user named the format they become.
        return (tf.cast(rows, tf.float32) if rows.dtype == tf.float64 else rows).numpy()

    def _quantized(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        elements = tf.convert_to_tensor(self._layer._embeddings.value)[start:stop]
        if self._layer.quantization_mode == "int4":
            elements = keras.quantizers.unpack_int4(elements, self.embedding_dim, axis=-1)
        scale = tf.convert_to_tensor(self._layer.embeddings_scale.value)[start:stop]
        if self._autocast:  # Keras divides by the cast scale, which a float32 holds exactly.
            scale = tf.cast(scale, self._autocast)
        return pack_quantized(
            np.asarray(tf.cast(elements, tf.int8)), tf.cast(scale, tf.float32).numpy()
        )

    def _computed(self, start: int, stop: int) -> tf.Tensor:
        if self._layer.quantization_mode:
            return self._layer.quantized_call(tf.range(start, stop, dtype=tf.int64))
        if self._merged is None:  # In one piece, as in the layer's call.
            self._merged = tf.cast(self._layer.embeddings, self._layer.compute_dtype)
        return self._merged[start:stop]
