"""Back from tables to a trainable Keras model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_hps.embedding_ops import embedding_lookup
from tf_hps.layers import HpsEmbedding
from tf_hps.row_keys import MOST_UNKNOWN_ROWS, UNKNOWN
from tf_hps.swap.copy_layer import CannotCopy
from tf_hps.swap.grouping import ungroup_lookups
from tf_hps.swap.replacer import LayerReplacer, compile_like
from tf_hps.swap.swap import check_keras_3

_BATCH = 65536


def restore_embeddings(served: keras.Model, *, grow: bool = False, in_place: bool = False) -> Any:
    """Puts trainable Embeddings with the live rows in the place of a model's tables.

    The way back from `tf_hps.swap_embeddings`: every `HpsEmbedding` becomes a `keras.layers.Embedding`
    of the same name, dtype and mask, with the rows that the table holds now, online updates
    included; ids of the vocabulary without a row get the table's default row. int8 rows become floats. All other
    layers are the same objects in both models. An `HpsEmbedding` with a combiner stays.

    Args:
        served: A Keras model with `HpsEmbedding` layers.
        grow: Whether rows beyond the vocabulary make the Embedding larger. Defaults to `False`: they are an
            error, and so are negative keys always.
        in_place: Whether a subclassed model is changed itself. Defaults to `False`.

    Example:

    ```python
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8)])
    served = tf_hps.swap_embeddings(model, store=tempfile.mkdtemp())
    trainable = tf_hps.restore_embeddings(served)
    trainable.layers[0].trainable_weights  # The Embedding's, [1000, 8]
    ```
    """
    check_keras_3(served)
    layers = [
        layer
        for layer in served._flatten_layers()
        if isinstance(layer, HpsEmbedding) and layer.combiner is None
    ]
    if not layers:
        raise ValueError(
            f"`served` has no HpsEmbedding to restore. Received: {type(served).__name__} "
            f"`{served.name}`"
        )
    replace = LayerReplacer(
        layers, lambda layer: _embedding(layer, grow), in_place, ungroup_lookups
    )
    try:
        replace.check(served)
    except CannotCopy as error:
        raise ValueError(f"{error}. Pass `in_place=True` to change `served` itself") from error
    model = replace(served)
    note = compile_like(model, served)
    if note:
        keras.utils.io_utils.print_msg(f"tf_hps: {note}")
    return model


def _embedding(layer: HpsEmbedding, grow: bool) -> keras.layers.Embedding:
    rows = _rows(layer, grow)
    embedding = keras.layers.Embedding(
        *rows.shape,
        mask_zero=layer.mask_zero,
        name=layer.name,
        dtype=layer.dtype_policy,
        activity_regularizer=layer.activity_regularizer,
    )
    embedding.build()
    embedding.embeddings.assign(rows)
    return embedding


def _rows(layer: HpsEmbedding, grow: bool) -> npt.NDArray[np.float32]:
    table = layer.table
    low, high = 0, -1
    for keys, _ in table.scan(_BATCH):
        low, high = min(low, int(keys.min())), max(high, int(keys.max()))
    if low < UNKNOWN + 2 * MOST_UNKNOWN_ROWS:
        raise ValueError(
            f"An Embedding has rows 0 to input_dim - 1. Received: table {table.name!r} of `{layer.name}`, whose "
            "rows are stored under the keys of a vocabulary that went (fold_lookups); the model that was "
            "swapped still has it, and its rows"
        )
    size = layer.vocabulary_size or high + 1
    if low < 0 or (high >= size and not grow):
        raise ValueError(
            f"An Embedding has rows 0 to input_dim - 1. Received: table {table.name!r} of `{layer.name}` "
            f"with vocabulary_size {size} and a row under key {low if low < 0 else high}"
            + ("" if low < 0 else "; pass `grow=True` for a larger Embedding")
        )
    # An Embedding has at least one row; that of an empty table is the default row.
    rows = np.zeros((max(size, high + 1, 1), table.embedding_dim), np.float32)
    missing = np.ones(len(rows), bool)
    for keys, batch in table.scan(_BATCH):
        rows[keys], missing[keys] = batch, False
    ids = np.flatnonzero(missing)
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        rows[part] = tf.cast(embedding_lookup(table, part), tf.float32).numpy()
    return rows
