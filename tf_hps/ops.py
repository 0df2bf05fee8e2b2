"""The ops as they are, on a table's resource handle. `Table` and `embedding_lookup` are easier to use."""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.framework import auto_control_deps_utils

from tf_hps import _library

_ops = _library.load_ops()

# Rows are not variables of the model: nothing flows back into a lookup. (The weights of a combining
# one may be: _lookup_combine_gradient.)
tf.no_gradient("HpsLookup")
tf.no_gradient("HpsGroupLookup")
# Otherwise automatic control dependencies put all lookups of a table in one line, in the export too,
# and run those whose rows nobody uses.
for _op in ("HpsLookup", "HpsGroupLookup", "HpsLookupCombine"):
    auto_control_deps_utils.register_read_only_resource_op(_op)


def table_handle(shared_name: str = "", container: str = "") -> tf.Tensor:
    """A handle for a table; `table_initialize` puts one there."""
    return _ops.hps_table_handle(shared_name=shared_name, container=container)


def table_initialize(
    handle: tf.Tensor, config_path: tf.Tensor | str, table: str
) -> tf.Operation | None:
    """Opens, or attaches to, a table of the hps.json at `config_path`."""
    return _ops.hps_table_initialize(handle, config_path, table=table)


def lookup(
    handle: tf.Tensor,
    ids: tf.Tensor,
    embedding_dim: int,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
) -> tf.Tensor:
    """Rows of `ids` (int32, int64 or strings, any shape): [*ids.shape, embedding_dim]."""
    return _ops.hps_lookup(
        handle, ids, num_is_degraded=0, embedding_dim=embedding_dim, dtype=dtype, name=name
    ).rows


def lookup_until_deadline(
    handle: tf.Tensor,
    ids: tf.Tensor,
    embedding_dim: int,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`lookup`, and which rows were not there within the table's `miss_deadline_us`: [*ids.shape]."""
    with tf.device("CPU:0"):  # GPUs have no such output
        rows, (is_degraded,) = _ops.hps_lookup(
            handle, ids, num_is_degraded=1, embedding_dim=embedding_dim, dtype=dtype, name=name
        )
    return rows, is_degraded


def group_lookup(
    handles: Sequence[tf.Tensor],
    ids: Sequence[tf.Tensor],
    embedding_dims: Sequence[int],
    dtype: tf.DType = tf.float32,
    name: str | None = None,
) -> list[tf.Tensor]:
    """`lookup` of several tables in one call: rows [*ids[i].shape, embedding_dims[i]]."""
    return _ops.hps_group_lookup(
        list(handles),
        list(ids),
        num_is_degraded=0,
        embedding_dims=list(embedding_dims),
        dtype=dtype,
        name=name,
    ).rows


def lookup_combine(
    handle: tf.Tensor,
    ids: tf.Tensor,
    row_splits: tf.Tensor,
    weights: tf.Tensor | None,
    embedding_dim: int,
    combiner: str,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
) -> tf.Tensor:
    """Combines the rows of bags of ids [n], bag b's from row_splits[b] on: [bags, embedding_dim]."""
    return _ops.hps_lookup_combine(
        handle,
        ids,
        row_splits,
        [] if weights is None else [tf.cast(weights, tf.float32)],
        embedding_dim=embedding_dim,
        combiner=combiner,
        dtype=dtype,
        name=name,
    )


def row_splits(segment_ids: tf.Tensor, num_segments: tf.Tensor) -> tf.Tensor:
    """Where each segment of ascending segment_ids [n] begins: [num_segments + 1]."""
    return _ops.hps_row_splits(tf.cast(segment_ids, tf.int64), tf.cast(num_segments, tf.int64))


@tf.RegisterGradient("HpsLookupCombine")
def _lookup_combine_gradient(op: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor | None]:
    """Of the weights; the rows have none. Looks the rows up once more, one by one."""
    handle, ids, splits, *weights = op.inputs
    if not weights:
        return [None, None, None]
    combiner = op.get_attr("combiner").decode()
    bag = tf.ragged.row_splits_to_segment_ids(splits)
    bags = tf.size(splits, tf.int64) - 1
    rows = lookup(handle, ids, op.get_attr("embedding_dim"))
    gradient = tf.gather(tf.cast(gradient, tf.float32), bag)
    by_weight = tf.reduce_sum(rows * gradient, 1)
    if combiner == "sum":
        return [None, None, None, by_weight]
    # Of sum / divisor: (d sum - result * d divisor) / divisor.
    result = tf.gather(tf.cast(op.outputs[0], tf.float32), bag)
    by_divisor = tf.reduce_sum(result * gradient, 1)
    if combiner == "mean":
        divisor = tf.math.unsorted_segment_sum(weights[0], bag, bags)
        divisor = tf.gather(divisor, bag)
    else:
        divisor = tf.sqrt(tf.math.unsorted_segment_sum(weights[0] * weights[0], bag, bags))
        divisor = tf.gather(divisor, bag)
        by_divisor *= tf.math.divide_no_nan(weights[0], divisor)
    return [None, None, None, tf.math.divide_no_nan(by_weight - by_divisor, divisor)]


def table_insert(handle: tf.Tensor, keys: tf.Tensor, rows: tf.Tensor) -> tf.Operation | None:
    """Inserts or replaces rows [n, embedding_dim] under int64 keys [n]."""
    return _ops.hps_table_insert(handle, keys, rows)


def table_erase(handle: tf.Tensor, keys: tf.Tensor) -> tf.Operation | None:
    """Erases the rows of int64 keys [n]."""
    return _ops.hps_table_erase(handle, keys)


def table_stats(handle: tf.Tensor) -> tf.Tensor:
    """A JSON object, as a string scalar."""
    return _ops.hps_table_stats(handle)
