"""The ops as they are, on a table's resource handle. `Table` and `embedding_lookup` are easier to use."""

import tensorflow as tf
from tensorflow.python.framework import auto_control_deps_utils

from tf_hps import _library

_ops = _library.load_ops()

# Rows are not variables of the model: nothing flows back into a lookup.
tf.no_gradient("HpsLookup")
# Otherwise automatic control dependencies put all lookups of a table in one line, in the export too,
# and run those whose rows nobody uses.
auto_control_deps_utils.register_read_only_resource_op("HpsLookup")


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
    """Rows of `ids` (int32 or int64, any shape): [*ids.shape, embedding_dim]."""
    return _ops.hps_lookup(handle, ids, embedding_dim=embedding_dim, dtype=dtype, name=name)


def table_insert(handle: tf.Tensor, keys: tf.Tensor, rows: tf.Tensor) -> tf.Operation | None:
    """Inserts or replaces rows [n, embedding_dim] under int64 keys [n]."""
    return _ops.hps_table_insert(handle, keys, rows)


def table_erase(handle: tf.Tensor, keys: tf.Tensor) -> tf.Operation | None:
    """Erases the rows of int64 keys [n]."""
    return _ops.hps_table_erase(handle, keys)


def table_stats(handle: tf.Tensor) -> tf.Tensor:
    """A JSON object, as a string scalar."""
    return _ops.hps_table_stats(handle)
