"""What a delta has: keys whose rows differ from those of its base, and keys that are erased."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.store.aligned_batches import Columns, aligned, merged, overlaid
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.layered_table import LayeredTable

_BATCH_KEYS = 65536

# Batches (keys, rows uint8[n, row_bytes] as stored, erased bool[n]), ascending; from the start each time.
Changes = Callable[[], Iterator[Columns]]


class DeltaEntries:
    """The keys under which a table with changes is another than its base, which is no delta.

    Iterated: batches as of `Changes`. `rows` is how many the table has then.

    Args:
        over: the table that is changed. What it has over a base of its own is taken along.
        changes: what is to stand there; it may well stand there already.
    """

    def __init__(self, over: LayeredTable, changes: Changes) -> None:
        self._over = over
        self._root = over.base or over
        self._changes = changes
        self.rows = 0

    def __iter__(self) -> Iterator[Columns]:
        self.rows = self._over.record.rows
        entries = self._judged()
        if self._over.base is not None:
            former = (
                (*batch, np.zeros(len(batch[0]), np.bool_)) for batch in self._over.own.scan()
            )
            entries = overlaid(former, entries, (*self._over.empty, np.empty(0, np.bool_)))
        for keys, rows, erased, same in entries:
            if same.all():
                continue
            yield (keys[~same], rows[~same], erased[~same]) if same.any() else (keys, rows, erased)

    def _judged(self) -> Iterator[Columns]:
        """The changes, and where the root says the same."""
        for keys, rows, erased in self._changes():
            root_rows, in_root, _ = self._root.own.get(keys)
            there = in_root
            if self._over.base is not None:
                _, found, gone = self._over.own.get(keys)
                there = found | (in_root & ~gone)
            self.rows += int((~erased).sum()) - int(there.sum())
            same = np.where(erased, ~in_root, in_root & (rows == root_rows).all(axis=1))
            yield keys, rows, erased, same


def given_changes(
    rows: Iterator[StoredBatch], erased: npt.NDArray[np.int64], table: LayeredTable
) -> Iterator[Columns]:
    """Rows that are put into a table, and keys that are erased; both ascend."""
    for present, gone in aligned(_present(rows), _gone(erased, table), table.empty):
        both = np.intersect1d(present[0], gone[0], assume_unique=True)
        if len(both):
            raise ValueError(f"The key {both[0]} is to be erased, and has a row in the source")
        yield merged(present, gone)


def whole_changes(rows: Iterator[StoredBatch], table: LayeredTable) -> Iterator[Columns]:
    """What makes a table one that has `rows`, which ascend, and no others."""
    empty = table.empty[:2]
    for stored, wanted in aligned(table.rows(), rows, empty):
        changed, extra = differing(stored, wanted)
        gone = table.empty_rows(len(extra))
        here = np.zeros(len(changed[0]), np.bool_)
        yield merged((*changed, here), (extra, gone, np.ones(len(extra), np.bool_)))


def differing(stored: Columns, wanted: Columns) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Keys and rows of `wanted` that are not in `stored`, and the keys that are in `stored` alone."""
    _, at_stored, at_wanted = np.intersect1d(
        stored[0], wanted[0], assume_unique=True, return_indices=True
    )
    stays = np.ones(len(wanted[0]), np.bool_)
    stays[at_wanted[(stored[1][at_stored] == wanted[1][at_wanted]).all(axis=1)]] = False
    return (wanted[0][stays], wanted[1][stays]), np.delete(stored[0], at_stored)


def checked_erased(erased: Any) -> npt.NDArray[np.int64]:
    """Keys to erase, ascending."""
    array = np.asarray(erased)
    if not array.size:
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(
            f"`erased` is keys, integers [n]. Received: {array.dtype.name} of shape {array.shape}"
        )
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"A key is a signed 64-bit integer. Received: {array.max()}")
    keys = np.sort(array.astype(np.int64))
    if len(twice := keys[1:][keys[1:] == keys[:-1]]):
        raise ValueError(f"`erased` has the key {twice[0]} more than once")
    return keys


def _present(rows: Iterator[StoredBatch]) -> Iterator[Columns]:
    for keys, stored in rows:
        yield keys, stored, np.zeros(len(keys), np.bool_)


def _gone(erased: npt.NDArray[np.int64], table: LayeredTable) -> Iterator[Columns]:
    for start in range(0, len(erased), _BATCH_KEYS):
        keys = erased[start : start + _BATCH_KEYS]
        yield keys, table.empty_rows(len(keys)), np.ones(len(keys), np.bool_)
