"""A source's rows as a table stores them: encoded, checked, in ascending key order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.store import row_formats
from tf_hps.store.external_sort import StoredBatch, external_sort
from tf_hps.store.sources import RowSource


def ascending_rows(source: RowSource, row_format: str, scratch: str) -> Iterator[StoredBatch]:
    """Batches (keys, rows uint8[n, row_bytes]) with strictly ascending keys.

    A key that comes twice is an error that names it. `scratch` is a folder that is made when the
    source has to be sorted by way of the disk.
    """
    batches = _encoded(source, row_format)
    if not source.ascending:
        width = row_formats.row_bytes(row_format, source.embedding_dim)
        batches = external_sort(batches, width, scratch)
    last: int | None = None
    for keys, rows in batches:
        steps = keys[1:] > keys[:-1]
        if not steps.all():
            at = int(np.argmin(steps))
            raise _unordered(source, int(keys[at]), int(keys[at + 1]))
        if last is not None and keys[0] <= last:
            raise _unordered(source, last, int(keys[0]))
        last = int(keys[-1])
        yield keys, rows


def _encoded(source: RowSource, row_format: str) -> Iterator[StoredBatch]:
    for keys, rows in source:
        if not len(keys):
            continue
        stored = _encode(source, np.asarray(keys), np.asarray(rows), row_format)
        yield np.ascontiguousarray(keys, np.int64), stored


def _encode(
    source: RowSource, keys: npt.NDArray[Any], rows: npt.NDArray[Any], row_format: str
) -> npt.NDArray[np.uint8]:
    stored = rows.dtype == np.uint8
    width = source.embedding_dim
    if stored:
        width = row_formats.row_bytes(source.row_format, source.embedding_dim)
    if keys.ndim != 1 or rows.shape != (len(keys), width):
        raise ValueError(
            f"{source.description} handed out keys of shape {keys.shape} and {rows.dtype.name} rows "
            f"of shape {rows.shape}; wanted [n] and [n, {width}]"
        )
    if not stored:
        return row_formats.encode_rows(rows, row_format)
    if source.row_format == row_format:
        return np.ascontiguousarray(rows)
    return row_formats.encode_rows(row_formats.decode_rows(rows, source.row_format), row_format)


def _unordered(source: RowSource, first: int, second: int) -> ValueError:
    if first == second:
        return ValueError(
            f"{source.description} has the key {first} more than once; a table has one row a key"
        )
    return ValueError(
        f"{source.description} says that its keys ascend, but {second} comes after {first}"
    )
