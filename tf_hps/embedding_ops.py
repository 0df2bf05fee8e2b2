"""Lookups with the semantics of `tf.nn.embedding_lookup`, on one `Table` or on several at once."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import tensorflow as tf

from tf_hps import ops
from tf_hps.table import Table

Ids: TypeAlias = tf.Tensor | tf.RaggedTensor
Key = TypeVar("Key")


def embedding_lookup(
    table: Table, ids: Ids, max_norm: float | None = None, name: str | None = None
) -> Ids:
    """Looks up rows, as `tf.nn.embedding_lookup` does.

    Ids without a row get the table's default row (zeros, unless configured otherwise), where
    `tf.nn.embedding_lookup` fails on a CPU; the `out_of_range` option brings that back.

    Args:
        table: A `Table`.
        ids: Integers of any shape, dense or ragged; or strings, whose keys are `tf_hps.word_keys(ids)`.
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
        table.resource_handle, to_ids(ids), table.embedding_dim, table.dtype, name=name
    )
    return rows if max_norm is None else tf.clip_by_norm(rows, max_norm, axes=[-1])


def embedding_lookup_until_deadline(
    table: Table, ids: Ids, name: str | None = None
) -> tuple[Ids, Ids]:
    """`embedding_lookup` that says which rows the table's stores did not give within `miss_deadline_us`.

    Those are default rows in this lookup, counted as `degraded_rows` in `Table.stats()`; they are read
    all the same, and go to memory for the next one. `embedding_lookup` returns the same rows.

    Args:
        table: A `Table`, whose configuration sets `miss_deadline_us`; without it nothing is degraded.
        ids: Integers or strings of any shape, dense or ragged.

    Returns:
        Rows, [*ids.shape, embedding_dim], and bools, [*ids.shape], dense or ragged as the ids are.
    """
    rows, is_degraded = ops.lookup_until_deadline(
        table.resource_handle, _flat(ids), table.embedding_dim, table.dtype, name=name
    )
    return _as_ids(ids, rows), _as_ids(ids, is_degraded)


def embedding_lookup_group(
    tables: Mapping[Key, Table], ids: Mapping[Key, Ids], name: str | None = None
) -> dict[Key, Ids]:
    """`embedding_lookup` of several tables in one op, which shares the work of all over the threads.

    Faster than a call for each table where batches are small: a call costs some microseconds, as much
    as looking up a hundred ids.

    Args:
        tables: A `Table` under each name; one may come more than once.
        ids: Integers or strings of any shape, dense or ragged, under the same names.

    Returns:
        Rows under the same names: [*ids.shape, embedding_dim] each.
    """
    if tables.keys() != ids.keys():
        raise ValueError(
            "`tables` and `ids` have the same names. "
            f"Received: tables={sorted(map(str, tables))}, ids={sorted(map(str, ids))}"
        )
    flat = {key: _flat(one) for key, one in ids.items()}
    # What lookups return is one type for the whole op; beside a GPU strings are in another memory than numbers.
    groups: dict[tuple[tf.DType, bool], list[Key]] = {}
    for key, table in tables.items():
        groups.setdefault((table.dtype, flat[key].dtype == tf.string), []).append(key)
    rows: dict[Key, Ids] = {}
    for (dtype, _), group in groups.items():
        found = ops.group_lookup(
            [tables[key].resource_handle for key in group],
            [flat[key] for key in group],
            [tables[key].embedding_dim for key in group],
            dtype,
            name=name,
        )
        rows.update(zip(group, found, strict=True))
    return {key: _as_ids(ids[key], rows[key]) for key in tables}


def _flat(ids: Ids) -> tf.Tensor:
    return to_ids(ids.flat_values if isinstance(ids, tf.RaggedTensor) else ids)


def _as_ids(ids: Ids, rows: tf.Tensor) -> Ids:
    return ids.with_flat_values(rows) if isinstance(ids, tf.RaggedTensor) else rows


def to_ids(ids: tf.Tensor) -> tf.Tensor:
    """int32, int64 or strings, as the ops want them."""
    ids = tf.convert_to_tensor(ids)
    if ids.dtype in (tf.int32, tf.int64, tf.string):
        return ids
    if ids.dtype.is_integer and ids.dtype != tf.uint64:
        return tf.cast(ids, tf.int64)
    raise TypeError(
        f"`ids` are integers of at most 64 bits, or strings. Received: {ids.dtype.name}"
    )
