"""Compares a table of a store with a source, row by row."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.formats import TableRecord
from tf_hps.store.reader import StoreReader
from tf_hps.store.sources import RowSource
from tf_hps.store.stored_rows import ascending_rows
from tf_hps.store.writer import Progress


@dataclasses.dataclass
class Comparison:
    """Rows of a table and a source, by what became of them."""

    equal: int = 0
    different: int = 0
    missing: int = 0  # in the source only
    extra: int = 0  # in the table only
    first_difference: int | None = None  # the smallest key that is not equal

    @property
    def same(self) -> bool:
        return self.first_difference is None


def compare_table(
    reader: StoreReader,
    record: TableRecord,
    source: RowSource,
    scratch: str,
    progress: Progress | None = None,
) -> Comparison:
    """Compares the stored bytes of every row with what `source` would be stored as.

    `scratch` is a folder that is made when the source has to be sorted by way of the disk.
    """
    result = Comparison()
    for stored, wanted in _aligned(reader, record, source, scratch, progress):
        _count(result, stored, wanted)
    return result


def differences(
    reader: StoreReader,
    record: TableRecord,
    source: RowSource,
    scratch: str,
    progress: Progress | None = None,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """The keys whose rows are others in `source`, or only there, and those that it does not have.

    Ascending, in batches; compared as `compare_table` does.
    """
    for stored, wanted in _aligned(reader, record, source, scratch, progress):
        _, at_stored, at_wanted = np.intersect1d(
            stored[0], wanted[0], assume_unique=True, return_indices=True
        )
        equal = (stored[1][at_stored] == wanted[1][at_wanted]).all(axis=1)
        extra = np.delete(stored[0], at_stored)
        yield np.delete(wanted[0], at_wanted[equal]), extra


def _aligned(
    reader: StoreReader,
    record: TableRecord,
    source: RowSource,
    scratch: str,
    progress: Progress | None,
) -> Iterator[tuple[StoredBatch, StoredBatch]]:
    """Both sides' rows of the same ranges of keys, one range after the other."""
    if source.embedding_dim != record.embedding_dim:
        raise ValueError(
            f"Table {record.name!r} has an embedding_dim of {record.embedding_dim}, "
            f"{source.description} of {source.embedding_dim}"
        )
    stored = _Cursor(reader.rows(record), record.row_bytes)
    wanted = _Cursor(ascending_rows(source, record.row_format, scratch), record.row_bytes)
    done = 0
    while True:
        have_stored, have_wanted = stored.fill(), wanted.fill()
        if not have_stored and not have_wanted:
            return
        # Both sides have all their rows up to here in memory.
        bounds = [cursor.last_key() for cursor in (stored, wanted) if len(cursor.keys)]
        part = wanted.take_until(min(bounds))
        yield stored.take_until(min(bounds)), part
        done += len(part[0])
        if progress is not None:
            progress(done, source.rows)


def _count(result: Comparison, stored: StoredBatch, wanted: StoredBatch) -> None:
    both, at_stored, at_wanted = np.intersect1d(
        stored[0], wanted[0], assume_unique=True, return_indices=True
    )
    changed = (stored[1][at_stored] != wanted[1][at_wanted]).any(axis=1)
    result.equal += len(both) - int(changed.sum())
    result.different += int(changed.sum())
    result.missing += len(wanted[0]) - len(both)
    result.extra += len(stored[0]) - len(both)
    if result.first_difference is None:
        alone = np.setxor1d(stored[0], wanted[0], assume_unique=True)
        candidates = np.concatenate([both[changed], alone])
        if len(candidates):
            result.first_difference = int(candidates.min())


class _Cursor:
    """The batch of a stream of ascending rows that is looked at."""

    def __init__(self, batches: Iterator[StoredBatch], row_bytes: int) -> None:
        self._batches = batches
        self.keys = np.empty(0, np.int64)
        self._rows = np.empty((0, row_bytes), np.uint8)

    def fill(self) -> bool:
        while not len(self.keys):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self.keys, self._rows = batch
        return True

    def last_key(self) -> int:
        return int(self.keys[-1])

    def take_until(self, bound: int) -> StoredBatch:
        n = int(np.searchsorted(self.keys, bound, side="right"))
        taken = self.keys[:n], self._rows[:n]
        self.keys, self._rows = self.keys[n:], self._rows[n:]
        return taken
