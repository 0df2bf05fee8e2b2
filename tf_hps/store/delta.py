"""What a delta has: rows that differ from those of its base, and keys that are erased."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tf_hps.store.aligned_batches import Columns, aligned, merged, overlaid
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.layered_table import LayeredTable

_BATCH_KEYS = 65536
# A share that 256 keys tell is off by 3 % at the most (standard deviation), 1.5 % of the base's rows where a
# delta is half of them. 1024 took 23 ms more of a base on the disk, 64 some 10 ms less.
_ASKED = 256

# Batches (keys, rows uint8[n, row_bytes] as stored, erased bool[n]), ascending; from the start each time.
Changes = Callable[[], Iterator[Columns]]


class Delta(Protocol):
    """What a table has over its base, once it was iterated: batches as of `Changes`.

    `rows` is how many both are together, an estimate where `rows_estimated` says so.
    """

    rows: int
    rows_estimated: bool

    def __iter__(self) -> Iterator[Columns]: ...


class GivenDelta:
    """What a generation has over its base, and changes to it; rows that stay as they are are among them.

    To leave those out, each key would have to be looked up in the base, a random read of 4 KB a key: 0.07
    of the time of a load in full for 1 % of 2 GB that are in the kernel's cache, 0.25 where they are on
    the disk, and 0.02 without. So a few keys are, to estimate how many of them are new.

    Args:
        over: the generation: a base, or a delta over one.
        changes: what is to stand there.
    """

    def __init__(self, over: LayeredTable, changes: Changes) -> None:
        self._over = over
        self._root = over.base or over
        self._changes = changes
        self.rows = self._root.record.rows
        self.rows_estimated = False

    def __iter__(self) -> Iterator[Columns]:
        entries = self._changes()
        if self._over.base is not None:
            entries = overlaid(self._over.own.scan(), entries, self._over.empty)
        present, erased = _KeySample(), _KeySample()
        for batch in entries:
            present.add(batch[0][~batch[2]])
            erased.add(batch[0][batch[2]])
            yield batch
        gone = erased.share_in(self._root) * erased.keys
        new = (1 - present.share_in(self._root)) * present.keys
        self.rows = self._root.record.rows + round(new) - round(gone)
        self.rows_estimated = max(present.keys, erased.keys) > _ASKED


class WholeDelta:
    """What makes `root` a table that has `rows`, and no others; exactly what differs."""

    rows_estimated = False

    def __init__(self, root: LayeredTable, rows: Callable[[], Iterator[StoredBatch]]) -> None:
        self._root = root
        self._rows = rows
        self.rows = 0

    def __iter__(self) -> Iterator[Columns]:
        self.rows = 0
        for stored, wanted in aligned(self._root.rows(), self._rows(), self._root.empty[:2]):
            self.rows += len(wanted[0])
            changed, extra = differing(stored, wanted)
            gone = self._root.empty_rows(len(extra))
            here = np.zeros(len(changed[0]), np.bool_)
            batch = merged((*changed, here), (extra, gone, np.ones(len(extra), np.bool_)))
            if len(batch[0]):
                yield batch


class _KeySample:
    """The keys of a set with the smallest hashes: a fair sample, the same one each time."""

    def __init__(self) -> None:
        self.keys = 0
        self._sample = np.empty(0, np.int64)

    def add(self, keys: npt.NDArray[np.int64]) -> None:
        self.keys += len(keys)
        self._sample = np.concatenate([self._sample, keys])
        if len(self._sample) > _ASKED:
            # Multiplied by 2^64 over the golden ratio (Knuth, The Art of Computer Programming, 6.4).
            hashes = self._sample.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            self._sample = self._sample[np.argpartition(hashes, _ASKED)[:_ASKED]]

    def share_in(self, table: LayeredTable) -> float:
        """The share of the keys that have rows there."""
        if not len(self._sample):
            return 0.0
        return float(table.get(np.sort(self._sample))[1].mean())


def given_changes(
    rows: Iterator[StoredBatch], erased: npt.NDArray[np.int64], table: LayeredTable
) -> Iterator[Columns]:
    """Rows that are put into a table, and keys that are erased; both ascend."""
    for present, gone in aligned(_present(rows), _gone(erased, table), table.empty):
        both = np.intersect1d(present[0], gone[0], assume_unique=True)
        if len(both):
            raise ValueError(f"The key {both[0]} is to be erased, and has a row in the source")
        yield merged(present, gone)


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
