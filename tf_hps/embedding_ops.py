"""Lookups with the semantics of `tf.nn.embedding_lookup` and its sparse variants, on a `Table`."""

from typing import NamedTuple, TypeAlias

import tensorflow as tf

from tf_hps import ops
from tf_hps.table import Table

_COMBINERS = ("mean", "sqrtn", "sum")

Ids: TypeAlias = tf.Tensor | tf.RaggedTensor
Bags: TypeAlias = tf.SparseTensor | tf.RaggedTensor


def embedding_lookup(
    table: Table, ids: Ids, max_norm: float | None = None, name: str | None = None
) -> Ids:
    """Looks up rows, as `tf.nn.embedding_lookup` does.

    Ids without a row get the table's default row (zeros, unless configured otherwise), where
    `tf.nn.embedding_lookup` fails on a CPU; the `out_of_range` option brings that back.

    Args:
        table: A `Table`.
        ids: Integers of any shape, dense or ragged.
        max_norm: If not None, rows with a larger l2-norm are clipped to it.

    Returns:
        Rows, dense or ragged as the ids are: [*ids.shape, embedding_dim].
    """
    if isinstance(ids, tf.SparseTensor):
        raise TypeError(
            "`ids` are dense or ragged; embedding_lookup_sparse takes a SparseTensor. "
            f"Received: ids={ids}"
        )
    if isinstance(ids, tf.RaggedTensor):
        rows = embedding_lookup(table, ids.flat_values, max_norm, name)
        return ids.with_flat_values(rows)
    rows = ops.lookup(
        table.resource_handle, _to_ids(ids), table.embedding_dim, table.dtype, name=name
    )
    return rows if max_norm is None else tf.clip_by_norm(rows, max_norm, axes=[-1])


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
        bags, is_empty = _fill_empty(bags, default_id or 0)

        rows = _combine(table, bags, combiner, max_norm)
        if default_id is None:
            rows = tf.where(is_empty[:, tf.newaxis], tf.zeros_like(rows), rows)
        if shape is None:
            return rows
        static = shape.shape[0]  # the rank of the ids
        rows = tf.reshape(rows, tf.concat([shape[:-1], [table.embedding_dim]], 0))
        if static is not None:
            rows = tf.ensure_shape(rows, [None] * (static - 1) + [table.embedding_dim])
        return rows


class _Bags(NamedTuple):
    """Ids and weights one after the other, each with the number of its bag, ascending."""

    ids: tf.Tensor
    weights: tf.Tensor | None
    bag: tf.Tensor
    bags: tf.Tensor  # how many there are


def _to_ids(ids: tf.Tensor) -> tf.Tensor:
    ids = tf.convert_to_tensor(ids)
    if ids.dtype in (tf.int32, tf.int64):
        return ids
    if ids.dtype.is_integer and ids.dtype != tf.uint64:
        return tf.cast(ids, tf.int64)
    raise TypeError(f"`ids` are integers of at most 64 bits. Received: {ids.dtype.name}")


def _check_combiner(combiner: str) -> None:
    if combiner not in _COMBINERS:
        raise ValueError(f"`combiner` is one of {_COMBINERS}. Received: combiner={combiner!r}")


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
        bag, bags = ids.indices[:, 0], ids.dense_shape[0]
    elif ids.shape.rank in (None, 2) and ids.ragged_rank == 1:
        bag, bags = ids.value_rowids(), ids.nrows()
    else:
        raise ValueError(f"ragged ids have rank 2. Received: shape {ids.shape}")
    return _Bags(_to_ids(ids.values), _weights_of(ids, weights), bag, bags)


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
    return _Bags(
        tf.boolean_mask(bags.ids, wanted), weights, tf.boolean_mask(bags.bag, wanted), bags.bags
    )


def _fill_empty(bags: _Bags, default_id: int) -> tuple[_Bags, tf.Tensor]:
    """Puts an id of weight 1 into each empty bag; also returns which bags were empty."""
    bag, count = tf.cast(bags.bag, tf.int64), tf.cast(bags.bags, tf.int64)

    def fill(values: tf.Tensor, default: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        filled = tf.raw_ops.RaggedFillEmptyRows(
            value_rowids=bag, values=values, nrows=count, default_value=default
        )
        return filled.output_values, filled.output_value_rowids, filled.empty_row_indicator

    weights = None
    if bags.weights is not None:
        weights, _, _ = fill(bags.weights, tf.ones([], bags.weights.dtype))
    ids, bag_of_id, is_empty = fill(bags.ids, tf.cast(default_id, bags.ids.dtype))
    return _Bags(ids, weights, bag_of_id, count), is_empty


def _combine(table: Table, bags: _Bags, combiner: str, max_norm: float | None) -> tf.Tensor:
    # Each row is looked up and clipped once, and never lies in memory once for each id.
    ids, index = tf.unique(bags.ids)
    rows = embedding_lookup(table, ids, max_norm)
    if bags.weights is None:
        segment = {
            "mean": tf.sparse.segment_mean,
            "sqrtn": tf.sparse.segment_sqrt_n,
            "sum": tf.sparse.segment_sum,
        }[combiner]
        return segment(rows, index, bags.bag)

    # float32 meanwhile, as tf.nn does: sums of half types lose too much.
    rows = tf.cast(tf.gather(rows, index), tf.float32)
    weights = tf.cast(bags.weights, tf.float32)[:, tf.newaxis]
    sums = tf.math.segment_sum(rows * weights, bags.bag)
    if combiner == "mean":
        sums = tf.math.divide_no_nan(sums, tf.math.segment_sum(weights, bags.bag))
    elif combiner == "sqrtn":
        squares = tf.math.segment_sum(tf.square(weights), bags.bag)
        sums = tf.math.divide_no_nan(sums, tf.sqrt(squares))
    return tf.cast(sums, table.dtype)
