"""Compares a table of a store with a source, row by row."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tf_hps.store.aligned_batches import Columns, aligned
from tf_hps.store.delta import differing
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
        changed, extra = differing(stored, wanted)
        yield changed[0], extra


def _aligned(
    reader: StoreReader,
    record: TableRecord,
    source: RowSource,
    scratch: str,
    progress: Progress | None,
) -> Iterator[tuple[Columns, Columns]]:
    """Both sides' rows of the same ranges of keys, one range after the other."""
    if source.embedding_dim != record.embedding_dim:
        raise ValueError(
            f"Table {record.name!r} has an embedding_dim of {record.embedding_dim}, "
            f"{source.description} of {source.embedding_dim}"
        )
    wanted_rows = ascending_rows(source, record.row_format, scratch)
    empty = np.empty(0, np.int64), np.empty((0, record.row_bytes), np.uint8)
    done = 0
    for stored, wanted in aligned(reader.rows(record), wanted_rows, empty):
        yield stored, wanted
        done += len(wanted[0])
        if progress is not None:
            progress(done, source.rows)


def _count(result: Comparison, stored: Columns, wanted: Columns) -> None:
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
