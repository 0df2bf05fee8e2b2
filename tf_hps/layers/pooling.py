"""Rows of the innermost ids axis, combined into one in the lookup itself."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_hps.embedding_bags import combine_bags, row_splits_of
from tf_hps.table import Table


def pooled_lookup(table: Table, ids: Any, weights: Any, combiner: str) -> Any:
    """Looks `ids` up and combines their rows over the last axis, as `embedding_lookup_sparse` does.

    Args:
        table: Where the rows are.
        ids: int32 or int64; dense, ragged, or sparse of rank 2.
        weights: of the shape of `ids`, or None for ones.
        combiner: "sum", "mean" or "sqrtn".

    Returns:
        A row for each bag: [*ids.shape[:-1], embedding_dim]. No ids give zeros.
    """
    if isinstance(ids, tf.RaggedTensor):
        innermost = _innermost(ids)
        if weights is not None:
            for splits, other in zip(ids.nested_row_splits, weights.nested_row_splits, strict=True):
                _check_same(splits, other)
            weights = weights.flat_values
        pooled = combine_bags(table, innermost.values, innermost.row_splits, weights, combiner)
        outer = ids.nested_row_splits[:-1]
        return tf.RaggedTensor.from_nested_row_splits(pooled, outer) if outer else pooled
    if isinstance(ids, tf.SparseTensor):
        if weights is not None:
            _check_same(ids.indices, weights.indices)
            weights = weights.values
        return combine_bags(table, ids.values, row_splits_of(ids), weights, combiner)
    shape = tf.shape(ids, tf.int64)
    bags = tf.reduce_prod(shape[:-1])
    if weights is not None:
        weights = tf.convert_to_tensor(weights)
        weights.shape.assert_is_compatible_with(ids.shape)
        weights = tf.reshape(weights, [-1])
    row_splits = tf.range(bags + 1) * shape[-1]
    pooled = combine_bags(table, tf.reshape(ids, [-1]), row_splits, weights, combiner)
    pooled = tf.reshape(pooled, tf.concat([shape[:-1], [table.embedding_dim]], 0))
    return tf.ensure_shape(pooled, [*ids.shape[:-1], table.embedding_dim])


def _innermost(ids: Any) -> Any:
    innermost = ids
    while isinstance(innermost.values, tf.RaggedTensor):
        innermost = innermost.values
    if innermost.values.shape.rank != 1:
        raise ValueError(
            "Ragged ids are pooled over their innermost ragged axis, which is the last one. "
            f"Received: ids of shape {ids.shape} with ragged_rank={ids.ragged_rank}"
        )
    return innermost


def _check_same(ids_part: Any, weights_part: Any) -> None:
    message = "`weights` have the shape of the ids, one weight for each"
    tf.debugging.assert_equal(tf.size(ids_part), tf.size(weights_part), message)
    ids_part, weights_part = tf.cast(ids_part, tf.int64), tf.cast(weights_part, tf.int64)
    tf.debugging.assert_equal(ids_part, weights_part, message)
