"""The rows of a table in an open store: its own, and those of the generation that it is a delta over."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tf_hps.store import database
from tf_hps.store.aligned_batches import Columns, overlaid
from tf_hps.store.errors import StoreError
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.formats import TableRecord

if TYPE_CHECKING:
    from tf_hps._rocksdb import Database

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
_BATCH_ROWS = 65536


class LayeredTable:
    """One generation of a table.

    Args:
        opened: the database.
        path: where it is.
        record: the generation.
        records: all that the database has.
    """

    def __init__(
        self,
        opened: "Database",
        path: str,
        record: TableRecord,
        records: Iterable[TableRecord],
    ) -> None:
        if record.over is not None:
            raise StoreError(
                f"{path}: table {record.name!r} lies over a store that a server reads only "
                "(`rocksdb.state_dir`) and has not all of its rows. Ask that server, or its store."
            )
        self.record = record
        self._path = path
        self.own = FamilyRows(opened, path, record)
        self.base: LayeredTable | None = None
        if record.base is None:
            return
        identity = record.name, record.base
        base = next((r for r in records if (r.name, r.generation) == identity), None)
        where = f"{path}: table {record.name!r}, generation {record.generation},"
        if base is None:
            raise StoreError(
                f"{where} has only what differs from generation {record.base}, which is gone"
            )
        if opened.get(base.modified_key) is not None:
            raise StoreError(
                f"{where} has only what differs from generation {record.base}, whose rows were changed "
                "since. Load the table in full."
            )
        self.base = LayeredTable(opened, path, base, ())

    @property
    def empty(self) -> Columns:
        """A batch of `entries` without keys."""
        return np.empty(0, np.int64), self.empty_rows(0), np.empty(0, np.bool_)

    def empty_rows(self, count: int) -> npt.NDArray[np.uint8]:
        """What stands beside keys that are erased."""
        return np.zeros((count, self.record.row_bytes), np.uint8)

    def entries(
        self, first: int = INT64_MIN, last: int = INT64_MAX, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[Columns]:
        """Batches (keys, rows uint8[n, row_bytes] as stored, erased bool[n]), ascending."""
        own = self.own.scan(first, last, batch_rows)
        if self.base is None:
            return own
        return overlaid(self.base.own.scan(first, last, batch_rows), own, self.empty)

    def rows(
        self, first: int = INT64_MIN, last: int = INT64_MAX, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[StoredBatch]:
        """Batches (keys, rows uint8[n, row_bytes] as stored), ascending."""
        return without_erased(self.entries(first, last, batch_rows))

    def get(
        self, keys: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Rows uint8[n, row_bytes] as stored, zeros where there is none, and which there are."""
        rows, found, erased = self.own.get(keys)
        if self.base is not None and not (known := found | erased).all():
            rows[~known], found[~known], _ = self.base.own.get(keys[~known])
        return rows, found


def without_erased(entries: Iterator[Columns]) -> Iterator[StoredBatch]:
    """The rows of entries as of `LayeredTable.entries`."""
    for keys, rows, erased in entries:
        if not erased.any():
            yield keys, rows
        elif not erased.all():
            yield keys[~erased], rows[~erased]


class FamilyRows:
    """What stands in the column family of one generation."""

    def __init__(self, opened: "Database", path: str, record: TableRecord) -> None:
        self._database = opened
        self._path = path
        self._record = record

    @property
    def disk_bytes(self) -> int:
        with database.translating(self._path):
            return self._database.disk_bytes(self._record.column_family)

    def scan(
        self, first: int = INT64_MIN, last: int = INT64_MAX, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[Columns]:
        """Batches (keys, rows, erased)."""
        record = self._record
        with database.translating(self._path):
            cursor = self._database.rows(record.column_family, record.row_bytes, first, last)
        while True:
            with database.translating(self._path):
                batch = cursor.next(batch_rows)
            if batch is None:
                return
            self._check_erased(batch[2])
            yield batch

    def get(
        self, keys: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Rows, zeros where there is none; which are stored; which are erased."""
        record = self._record
        with database.translating(self._path):
            rows, found, erased = self._database.get_rows(
                record.column_family, record.row_bytes, np.ascontiguousarray(keys, np.int64)
            )
        self._check_erased(erased)
        return rows, found, erased

    def _check_erased(self, erased: npt.NDArray[np.bool_]) -> None:
        if self._record.base is None and erased.any():
            raise StoreError(
                f"{self._path}: table {self._record.name!r} has rows that do not have "
                f"{self._record.row_bytes} bytes, but none"
            )
