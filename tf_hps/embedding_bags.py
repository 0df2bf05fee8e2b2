"""Lookups of bags of ids, with the semantics of `tf.nn.embedding_lookup_sparse`, on a `Table`."""

from typing import NamedTuple, TypeAlias

import tensorflow as tf

from tf_hps import ops
from tf_hps.embedding_ops import embedding_lookup, to_ids
from tf_hps.table import Table

COMBINERS = ("mean", "sqrtn", "sum")

Bags: TypeAlias = tf.SparseTensor | tf.RaggedTensor


def embedding_lookup_sparse(
    table: Table,
    sp_ids: Bags,
    sp_weights: Bags | None,
    combiner: str | None = None,
    max_norm: float | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Looks up and combines rows, as `tf.nn.embedding_lookup_sparse` does.

    As there, every bag has at least one id: empty ones are zeros in the middle, and are missing at the
    end. `safe_embedding_lookup_sparse` takes any.

    Args:
        table: A `Table`.
        sp_ids: A `SparseTensor` or `RaggedTensor` of rank 2: a bag of ids in each row.
        sp_weights: The same with a weight for each id, or None for weights of 1.
        combiner: "mean" (the default), "sqrtn" or "sum".
        max_norm: If not None, rows with a larger l2-norm are clipped to it before they are combined.

    Returns:
        A row for each bag: [bags, embedding_dim].
    """
    combiner = combiner or "mean"
    _check_combiner(combiner)
    _check_bags(sp_ids, sp_weights)
    with tf.name_scope(name or "embedding_lookup_sparse"):
        bags = _flatten(sp_ids, sp_weights)
        # Bags behind the last id are missing.
        last = tf.searchsorted(bags.row_splits, tf.size(bags.ids, tf.int64)[tf.newaxis])[0]
        bags = bags._replace(row_splits=bags.row_splits[: last + 1])
        return _combine(table, bags, combiner, max_norm)


def safe_embedding_lookup_sparse(
    table: Table,
    sparse_ids: Bags,
    sparse_weights: Bags | None = None,
    combiner: str = "mean",
    default_id: int | None = None,
    max_norm: float | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Looks up and combines rows of bags that may be empty, as `tf.nn.safe_embedding_lookup_sparse`.

    Ids below 0 are dropped, and, unless `combiner` is "sum", ids whose weight is not positive.

    Args:
        table: A `Table`.
        sparse_ids: A `SparseTensor` [d0, ..., dn], or a `RaggedTensor` of rank 2: bags of ids in the
            last dimension.
        sparse_weights: The same with a weight for each id, or None for weights of 1.
        combiner: "mean" (the default), "sqrtn" or "sum".
        default_id: The id whose row empty bags get; None (the default) gives them zeros.
        max_norm: If not None, rows with a larger l2-norm are clipped to it before they are combined.

    Returns:
        A row for each bag: [d0, ..., dn-1, embedding_dim].
    """
    _check_combiner(combiner)
    _check_bags(sparse_ids, sparse_weights)
    with tf.name_scope(name or "safe_embedding_lookup_sparse"):
        shape = None
        if isinstance(sparse_ids, tf.SparseTensor):
            shape = sparse_ids.dense_shape
            matrix = [tf.reduce_prod(shape[:-1]), shape[-1]]
            sparse_ids = tf.sparse.reshape(sparse_ids, matrix)
        bags = _flatten(sparse_ids, sparse_weights)
        bags = _keep(bags, bags.ids >= 0)
        if combiner != "sum" and bags.weights is not None:
            bags = _keep(bags, bags.weights > 0)

        rows = _combine(table, bags, combiner, max_norm)
        if default_id is not None:
            # As a bag of this id alone.
            default = embedding_lookup(table, tf.constant([default_id], tf.int64), max_norm)
            is_empty = bags.row_splits[1:] == bags.row_splits[:-1]
            rows = tf.where(is_empty[:, tf.newaxis], default, rows)
        if shape is None:
            return rows
        static = shape.shape[0]  # the rank of the ids
        rows = tf.reshape(rows, tf.concat([shape[:-1], [table.embedding_dim]], 0))
        if static is not None:
            rows = tf.ensure_shape(rows, [None] * (static - 1) + [table.embedding_dim])
        return rows


def combine_bags(
    table: Table, ids: tf.Tensor, row_splits: tf.Tensor, weights: tf.Tensor | None, combiner: str
) -> tf.Tensor:
    """Combines the rows of int32 or int64 ids [n], bag b's from row_splits[b] on: [bags, embedding_dim]."""
    return ops.lookup_combine(
        table.resource_handle,
        ids,
        tf.cast(row_splits, tf.int64),
        weights,
        table.embedding_dim,
        combiner,
        table.dtype,
    )


def row_splits_of(ids: tf.SparseTensor) -> tf.Tensor:
    """Where the rows of sparse ids of rank 2 begin."""
    return ops.row_splits(ids.indices[:, 0], ids.dense_shape[0])


class _Bags(NamedTuple):
    """Ids and weights one after the other: bag b has those from row_splits[b] up to row_splits[b + 1]."""

    ids: tf.Tensor
    weights: tf.Tensor | None
    row_splits: tf.Tensor


def _check_combiner(combiner: str) -> None:
    if combiner not in COMBINERS:
        raise ValueError(f"`combiner` is one of {COMBINERS}. Received: combiner={combiner!r}")


def _check_bags(ids: Bags, weights: Bags | None) -> None:
    if not isinstance(ids, tf.SparseTensor | tf.RaggedTensor):
        raise TypeError(f"ids are a SparseTensor or a RaggedTensor. Received: {type(ids).__name__}")
    if weights is None:
        return
    kind = tf.SparseTensor if isinstance(ids, tf.SparseTensor) else tf.RaggedTensor
    if not isinstance(weights, kind):
        raise TypeError(
            f"weights are None or a {kind.__name__}, as the ids are. "
            f"Received: {type(weights).__name__}"
        )
    if not ids.shape.is_compatible_with(weights.shape):
        raise ValueError(
            f"ids and weights have one shape. Received: {ids.shape} and {weights.shape}"
        )


def _flatten(ids: Bags, weights: Bags | None) -> _Bags:
    if isinstance(ids, tf.SparseTensor):
        row_splits = row_splits_of(ids)
    elif ids.shape.rank in (None, 2) and ids.ragged_rank == 1:
        row_splits = tf.cast(ids.row_splits, tf.int64)
    else:
        raise ValueError(f"ragged ids have rank 2. Received: shape {ids.shape}")
    return _Bags(to_ids(ids.values), _weights_of(ids, weights), row_splits)


def _weights_of(ids: Bags, weights: Bags | None) -> tf.Tensor | None:
    if weights is None:
        return None
    # A single weight would be broadcast over all ids.
    same = tf.debugging.assert_equal(
        tf.shape(ids.values), tf.shape(weights.values), "ids and weights differ in number"
    )
    with tf.control_dependencies([] if same is None else [same]):
        return tf.identity(weights.values)


def _keep(bags: _Bags, wanted: tf.Tensor) -> _Bags:
    weights = None if bags.weights is None else tf.boolean_mask(bags.weights, wanted)
    kept_before = tf.pad(tf.cumsum(tf.cast(wanted, tf.int64)), [[1, 0]])
    return _Bags(
        tf.boolean_mask(bags.ids, wanted), weights, tf.gather(kept_before, bags.row_splits)
    )


def _combine(table: Table, bags: _Bags, combiner: str, max_norm: float | None) -> tf.Tensor:
    if max_norm is None:
        return combine_bags(table, bags.ids, bags.row_splits, bags.weights, combiner)
    # Each row is looked up and clipped once.
    ids, index = tf.unique(bags.ids)
    rows = tf.gather(embedding_lookup(table, ids, max_norm), index)
    # float32 meanwhile, as tf.nn does: sums of half types lose too much.
    rows = tf.cast(rows, tf.float32)
    weights = tf.ones_like(index, tf.float32) if bags.weights is None else bags.weights
    weights = tf.cast(weights, tf.float32)
    bag = tf.ragged.row_splits_to_segment_ids(bags.row_splits)
    num_bags = tf.size(bags.row_splits, tf.int64) - 1
    sums = tf.math.unsorted_segment_sum(rows * weights[:, tf.newaxis], bag, num_bags)
    if combiner != "sum":
        mean = combiner == "mean"
        divisor = tf.math.unsorted_segment_sum(weights if mean else weights**2, bag, num_bags)
        divisor = divisor if mean else tf.sqrt(divisor)
        sums = tf.math.divide_no_nan(sums, divisor[:, tf.newaxis])
    return tf.cast(sums, table.dtype)
