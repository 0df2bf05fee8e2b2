"""Rows of the innermost ids axis, combined into one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

COMBINERS = ("sum", "mean", "sqrtn")


def pool(rows: Any, ids: Any, weights: Any, combiner: str) -> Any:
    """Combines `rows`, one for each of `ids`, over the last axis of the ids.

    sum: of weight * row; mean: the sum over the sum of the weights; sqrtn: the sum over the
    root of the sum of their squares. No ids give zeros. Half types are added up in float32.

    Args:
        rows: shape [..., n, embedding_dim], ragged like `ids`; for sparse ids the rows of its values.
        ids: dense, ragged, or sparse of rank 2.
        weights: of the shape of `ids`, or None for ones.
        combiner: one of COMBINERS.
    """
    if isinstance(ids, tf.RaggedTensor):
        return _pool_ragged(rows, ids, weights, combiner)
    if isinstance(ids, tf.SparseTensor):
        segments, size = ids.indices[:, 0], ids.dense_shape[0]
        values = None if weights is None else weights.values
        if weights is not None:
            _check_same(ids.indices, weights.indices)
        return _pool_segments(rows, values, segments, size, combiner)
    dtype = rows.dtype
    rows = _at_least_float32(rows)
    if weights is None:
        weights = tf.ones_like(ids, rows.dtype)
    weights = tf.cast(weights, rows.dtype)
    weights.shape.assert_is_compatible_with(ids.shape)
    total = tf.reduce_sum(rows * weights[..., tf.newaxis], axis=-2)
    squares = tf.reduce_sum(weights * weights, axis=-1)
    return tf.cast(_divide(total, tf.reduce_sum(weights, axis=-1), squares, combiner), dtype)


def _pool_ragged(rows: Any, ids: Any, weights: Any, combiner: str) -> Any:
    innermost = ids
    while isinstance(innermost.values, tf.RaggedTensor):
        innermost = innermost.values
    if innermost.values.shape.rank != 1:
        raise ValueError(
            "Ragged ids are pooled over their innermost ragged axis, which is the last one. "
            f"Received: ids of shape {ids.shape} with ragged_rank={ids.ragged_rank}"
        )
    values = None
    if weights is not None:
        for ids_splits, splits in zip(
            ids.nested_row_splits, weights.nested_row_splits, strict=True
        ):
            _check_same(ids_splits, splits)
        values = weights.flat_values
    pooled = _pool_segments(
        rows.flat_values, values, innermost.value_rowids(), innermost.nrows(), combiner
    )
    outer = ids.nested_row_splits[:-1]
    return tf.RaggedTensor.from_nested_row_splits(pooled, outer) if outer else pooled


def _pool_segments(rows: Any, weights: Any, segments: Any, size: Any, combiner: str) -> Any:
    dtype = rows.dtype
    rows = _at_least_float32(rows)
    if weights is None:
        weights = tf.ones_like(segments, rows.dtype)
    weights = tf.cast(weights, rows.dtype)

    def add_up(values: Any) -> Any:
        return tf.math.unsorted_segment_sum(values, segments, size)

    total = add_up(rows * weights[:, tf.newaxis])
    pooled = _divide(total, add_up(weights), add_up(weights * weights), combiner)
    return tf.cast(pooled, dtype)


def _divide(total: Any, weight: Any, squares: Any, combiner: str) -> Any:
    if combiner == "sum":
        return total
    by = weight if combiner == "mean" else tf.sqrt(squares)
    return tf.math.divide_no_nan(total, by[..., tf.newaxis])


def _at_least_float32(rows: Any) -> Any:
    return tf.cast(rows, tf.float32) if rows.dtype.size < 4 else rows


def _check_same(ids_part: Any, weights_part: Any) -> None:
    message = "`weights` have the shape of the ids, one weight for each"
    tf.debugging.assert_equal(tf.size(ids_part), tf.size(weights_part), message)
    ids_part, weights_part = tf.cast(ids_part, tf.int64), tf.cast(weights_part, tf.int64)
    tf.debugging.assert_equal(ids_part, weights_part, message)
