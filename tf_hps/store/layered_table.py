"""The rows of a table in an open store: its own, and those of the generation that it is a delta over."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import rocksdict

from tf_hps.store import database, formats
from tf_hps.store.aligned_batches import Columns, overlaid
from tf_hps.store.errors import StoreError
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.formats import TableRecord

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
_BATCH_ROWS = 65536
_KEYS_OF_A_THREAD = 1024
# More than there are cores: they wait for the disk.
_THREADS = 16


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
        opened: rocksdict.Rdict,
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

    def __init__(self, opened: rocksdict.Rdict, path: str, record: TableRecord) -> None:
        self._path = path
        self._record = record
        with database.translating(path):
            self._rows: Any = opened.get_column_family(record.column_family)
        # Keys of a delta are seldom of one block: memory for each block took four times as long as the
        # rest of a lookup.
        options = rocksdict.ReadOptions()
        options.fill_cache(False)
        self._rows.set_read_options(options)

    @property
    def disk_bytes(self) -> int:
        return int(self._rows.property_int_value("rocksdb.total-sst-files-size") or 0)

    def scan(
        self, first: int = INT64_MIN, last: int = INT64_MAX, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[Columns]:
        """Batches (keys, rows, erased)."""
        items = database.scan(self._rows, formats.encode_key(first))
        end = formats.encode_key(last)
        while batch := self._next_batch(items, batch_rows):
            keys, values = zip(*batch, strict=True)
            columns = formats.decode_keys(b"".join(keys)), *self._stored(values)
            if keys[-1] > end:
                inside = int(np.searchsorted(columns[0], last, side="right"))
                if inside:
                    yield tuple(column[:inside] for column in columns)
                return
            yield columns

    def get(
        self, keys: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Rows, zeros where there is none; which are stored; which are erased."""
        encoded = formats.encode_keys(np.ascontiguousarray(keys, np.int64)).tolist()
        with database.translating(self._path):
            values = self._get(encoded)
        found = np.fromiter((value is not None for value in values), np.bool_, len(values))
        there = [value for value in values if value is not None]
        rows = np.zeros((len(values), self._record.row_bytes), np.uint8)
        erased = np.zeros(len(values), np.bool_)
        rows[found], erased[found] = self._stored(there)
        return rows, found & ~erased, erased

    def _get(self, encoded: list[bytes]) -> list[bytes | None]:
        if len(encoded) <= _KEYS_OF_A_THREAD:
            return list(self._rows.get(encoded)) if encoded else []
        # It waits for the disk, or copies and checks blocks, without Python's lock.
        starts = range(0, len(encoded), _KEYS_OF_A_THREAD)
        parts = [encoded[start : start + _KEYS_OF_A_THREAD] for start in starts]
        with ThreadPoolExecutor(min(len(parts), _THREADS)) as threads:
            return list(itertools.chain.from_iterable(threads.map(self._rows.get, parts)))

    def _next_batch(
        self, items: Iterator[tuple[bytes, bytes]], batch_rows: int
    ) -> list[tuple[bytes, bytes]]:
        with database.translating(self._path):
            return list(itertools.islice(items, batch_rows))

    def _stored(
        self, values: Sequence[bytes]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Rows, and which of the values say that their key was erased."""
        record = self._record
        erased = np.zeros(len(values), np.bool_)
        joined = b"".join(values)
        if record.base is not None and len(joined) != len(values) * record.row_bytes:
            erased = np.fromiter((not value for value in values), np.bool_, len(values))
        if len(joined) != int((~erased).sum()) * record.row_bytes:
            raise StoreError(
                f"{self._path}: table {record.name!r} has rows that do not have {record.row_bytes} bytes"
            )
        rows = np.frombuffer(joined, np.uint8).reshape(-1, record.row_bytes)
        if erased.any():
            spread = np.zeros((len(values), record.row_bytes), np.uint8)
            spread[~erased] = rows
            rows = spread
        return rows, erased
