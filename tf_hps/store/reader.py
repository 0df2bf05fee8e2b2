"""Reads tables of a store without the op library."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.closing import Closing
from tf_hps.store import database, formats
from tf_hps.store.errors import StoreError
from tf_hps.store.formats import TableRecord
from tf_hps.store.layered_table import INT64_MAX, INT64_MIN, FamilyRows, LayeredTable
from tf_hps.store.sources import RowSource


class StoreReader(Closing):
    """The store at `path` as it is when opened; takes no lock, writes nothing.

    Args:
        path: The store's folder.
        hold_files: Whether all files are opened at once, so that what a writer in another process drops
            meanwhile is read nevertheless. It takes time for the store's size.

    Example:

        with tf_hps.store.StoreReader("/data/store") as reader:
            for record in reader.tables():
                print(record.name, record.generation, record.rows)
    """

    def __init__(self, path: str | os.PathLike[str], hold_files: bool = True) -> None:
        self.path = os.path.abspath(os.fspath(path))
        files = "all" if hold_files else "when_read"
        self._database = database.open_read_only(self.path, files)
        try:
            with database.translating(self.path):
                database.check_format_version(self._database, self.path)
                items = self._database.items(formats.TABLE_PREFIX, sys.maxsize)
                self._records = database.records(items, self.path)
        except BaseException:
            self._database.close()
            raise

    def tables(self) -> list[TableRecord]:
        """All tables and generations, oldest load first."""
        return list(self._records)

    def record(self, name: str, generation: str | None = None) -> TableRecord:
        """One generation of table `name`, by default the newest."""
        for record in reversed(self._records):
            if record.name == name and generation in (None, record.generation):
                return record
        which = f" of generation {generation}" if generation else ""
        known = ", ".join(f"{r.name} ({r.generation})" for r in self._records) or "no tables"
        raise StoreError(f"{self.path} has no table {name!r}{which}. It has: {known}")

    def modified(self, record: TableRecord) -> bool:
        """Whether rows were updated since the load: the row count is an estimate then."""
        return self._database.get(record.modified_key) is not None

    def rows_estimated(self, record: TableRecord) -> bool:
        """Whether `record.rows` is an estimate."""
        return bool(record.rows_estimated) or self.modified(record)

    def stream_record(self, record: TableRecord) -> dict[str, Any] | None:
        """How far the table has come in its stream, see docs/formats.md; None: it follows none."""
        text = self._database.get(record.stream_key)
        return None if text is None else json.loads(text)

    def disk_bytes(self, record: TableRecord) -> int:
        """The size of the table's files; of a delta, without its base's."""
        return FamilyRows(self._database, self.path, record).disk_bytes

    def rows(
        self,
        record: TableRecord,
        first: int = INT64_MIN,
        last: int = INT64_MAX,
        batch_rows: int = 65536,
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
        """Batches (keys, rows uint8[n, row_bytes] as stored), ascending, keys in [first, last]."""
        return self.layers(record).rows(first, last, batch_rows)

    def get(
        self, record: TableRecord, keys: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Rows uint8[n, row_bytes] as stored, zeros where there is none, and which there are."""
        return self.layers(record).get(np.asarray(keys, np.int64))

    def layers(self, record: TableRecord) -> LayeredTable:
        """The table's own rows, and those of what it is a delta over."""
        return LayeredTable(self._database, self.path, record, self._records)

    def source(self, name: str, generation: str | None = None) -> RowSource:
        """A table as a source of rows, for another store or another row format."""
        return _TableSource(self, self.record(name, generation))

    def close(self) -> None:
        self._database.close()


class _TableSource(RowSource):
    ascending = True

    def __init__(self, reader: StoreReader, record: TableRecord) -> None:
        self._reader = reader
        self._record = record
        self.embedding_dim = record.embedding_dim
        self.row_format = record.row_format
        self.rows = None if reader.rows_estimated(record) else record.rows
        self.description = f"table {record.name!r} of {reader.path}"

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
        return self._reader.rows(self._record)
