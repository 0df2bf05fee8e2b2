"""Writes tables into a store without the op library."""

import contextlib
import dataclasses
import datetime
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import rocksdict

from tf_hps.closing import Closing
from tf_hps.store import database, formats, owners, row_formats
from tf_hps.store.aligned_batches import Columns
from tf_hps.store.delta import Delta, GivenDelta, WholeDelta, checked_erased, given_changes
from tf_hps.store.errors import StoreError
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.formats import TableRecord
from tf_hps.store.layered_table import LayeredTable
from tf_hps.store.reader import StoreReader
from tf_hps.store.sources import RowSource
from tf_hps.store.stored_rows import ascending_rows
from tf_hps.store.table_files import TableFiles, write_delta, write_rows

# (rows so far, rows in all or None when nobody knows)
Progress = Callable[[int, int | None], None]

_LOADING = "loading"


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What one `write_table` or `write_delta` did."""

    record: TableRecord
    already_there: bool
    modified: bool
    seconds: float
    # Rows and erased keys that a delta has itself.
    changed: int = 0
    erased: int = 0


class StoreWriter(Closing):
    """Writes tables into the store at `path`, which is made if it is not there.

    A table is written beside the store and joins it in one step at the end: a reader never sees half
    a table, and what a killed load leaves is dropped by the next writer. Generations that are there
    stay. One writer at a time; readers may go on.

    Args:
        path: The store's folder.
        compression: "none" or "lz4". Trained floats hardly compress.

    Example:

        with tf_hps.store.StoreWriter("/data/store") as writer:
            generation = writer.write_table("movie_id", tf_hps.store.from_npy("rows.npy"))
    """

    def __init__(self, path: str | os.PathLike[str], compression: str = "none") -> None:
        if compression not in database.COMPRESSIONS:
            raise ValueError(
                f"`compression` is one of {database.COMPRESSIONS}. Received: {compression!r}"
            )
        self.path = os.path.abspath(os.fspath(path))
        self.last_load: LoadReport | None = None
        self._compression = compression
        owners.check_not_open_for_writing(self.path)
        with database.translating(self.path):
            self._database = database.open_for_writing(self.path, compression)
        self._closed = False
        owners.add_writer(self.path, self)
        try:
            with database.translating(self.path):
                self._recover()
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[TableRecord]:
        """All tables and generations, oldest load first."""
        return database.records(database.scan(self._database, formats.TABLE_PREFIX), self.path)

    def write_table(
        self,
        name: str,
        source: RowSource,
        row_format: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Writes all rows of `source` as a generation of table `name`; returns the generation.

        A generation that is there already, with the same rows, is not written again; it becomes the
        newest of its name. `last_load` tells.

        Args:
            name: The table's name.
            source: The rows. A key that comes twice is an error.
            row_format: How rows are stored; by default so that they stay as they are.
            progress: Called with the rows so far and all rows, or None.
        """
        formats.check_name(name)
        row_format = row_format or source.row_format
        width = row_formats.row_bytes(row_format, source.embedding_dim)
        self._check_space(source, width)

        def write(folder: str) -> TableFiles:
            rows = ascending_rows(source, row_format, os.path.join(folder, "sort"))
            return write_rows(
                _counted(rows, source.rows, progress),
                row_format,
                source.embedding_dim,
                width,
                folder,
                self._compression,
            )

        return self._join(name, row_format, source.embedding_dim, write)

    def write_delta(
        self,
        name: str,
        base: str,
        source: RowSource | None = None,
        erased: Any = (),
        complete: bool = False,
        progress: Progress | None = None,
    ) -> str:
        """Writes what differs from the generation `base` of table `name`; returns the new generation.

        Takes time for what is given, not for the table. The base stays as it is: it takes no updates, and
        is not dropped, while a delta lies over it. A delta over a delta takes along what that one has, and
        lies over the same base. Without any change that base becomes the newest of its name. When what a
        delta has is more than half of the base's rows, all rows are written, as by `write_table`.

        Args:
            name: The table's name.
            base: The generation, with the rows it was loaded with.
            source: Rows that are new or other ones, stored in the base's format. A key that comes twice is
                an error.
            erased: Keys that have no row any more, integers [n]. Those that the base does not have are no
                error.
            complete: Whether `source` has all rows of the table, and what it does not have is erased. All
                rows of the base are read for that, and the delta has exactly what differs.
            progress: Called with the rows of the source so far and all of them, or None.
        """
        formats.check_name(name)
        gone = checked_erased(erased)
        if complete and (source is None or len(gone)):
            raise ValueError(
                "`complete` needs a `source`, which tells what is erased, and no `erased`"
            )
        # A database of its own: what reads in the writer's would keep that open, after an error too. Nobody
        # else drops files while this one writes.
        with StoreReader(self.path, hold_files=False) as reader:
            over = self._over(reader, name, base)
            record = over.record
            if source is not None and source.embedding_dim != record.embedding_dim:
                raise ValueError(
                    f"Table {name!r}, generation {base}, has an embedding_dim of {record.embedding_dim}, "
                    f"{source.description} of {source.embedding_dim}"
                )
            if source is not None and not complete:
                self._check_space(source, record.row_bytes)

            def write(folder: str) -> TableFiles:
                def rows() -> Iterator[StoredBatch]:
                    if source is None:
                        return iter(())
                    scratch = os.path.join(folder, "sort")
                    return _counted(
                        ascending_rows(source, record.row_format, scratch), source.rows, progress
                    )

                def changes() -> Iterator[Columns]:
                    return given_changes(rows(), gone, over)

                root = over.base or over
                delta: Delta = WholeDelta(root, rows) if complete else GivenDelta(over, changes)
                return write_delta(delta, root, folder, self._compression)

            return self._join(name, record.row_format, record.embedding_dim, write)

    def drop_table(self, name: str, generation: str) -> None:
        """Drops one generation of a table, and its disk space with it; not one that a delta lies over."""
        record = self._find(name, generation)
        if record is None:
            raise StoreError(f"{self.path} has no table {name!r} of generation {generation}")
        deltas = [r.generation for r in self.tables() if (r.name, r.base) == (name, generation)]
        if deltas:
            raise StoreError(
                f"{self.path}: generation {generation} of table {name!r} has deltas over it, which are "
                f"nothing without it: {', '.join(deltas)}. Drop those first."
            )
        # The record first: rows without a record are no table, and the next writer drops them.
        with database.translating(self.path):
            batch = rocksdict.WriteBatch(raw_mode=True)
            batch.delete(record.key)
            batch.delete(record.modified_key)
            batch.delete(record.stream_key)
            batch.delete(record.growth_key)
            self._database.write(batch, database.synced())
            present = database.column_families(self.path)
            for family in set(record.families).intersection(present):
                self._database.drop_column_family(family)

    def checkpoint(self, target: str) -> None:
        """A consistent copy of the store in the new folder `target`."""
        with database.translating(target):
            rocksdict.Checkpoint(self._database).create_checkpoint(target)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            # Readers then find everything in files, and have no log to replay.
            self._database.flush()
            self._database.close()
        except Exception:
            # On a full disk rocksdict refuses to close. Without its last reference the database is
            # closed nevertheless; what is not in files is in the log, synced.
            del self._database
        finally:
            owners.remove_writer(self.path)

    def _recover(self) -> None:
        """Drops what a killed load left behind; RocksDB's lock says that nobody is loading now."""
        shutil.rmtree(os.path.join(self.path, _LOADING), ignore_errors=True)
        if self._database.get(formats.FORMAT_VERSION_KEY) is None:
            version = str(formats.FORMAT_VERSION).encode()
            self._database.put(formats.FORMAT_VERSION_KEY, version, database.synced())
        whole = {family for record in self.tables() for family in record.families}
        for family in database.column_families(self.path):
            if family.startswith(formats.TABLE_FAMILIES) and family not in whole:
                self._database.drop_column_family(family)

    def _join(
        self, name: str, row_format: str, embedding_dim: int, write: Callable[[str], TableFiles]
    ) -> str:
        """Writes files into a folder beside the store, and makes them a table."""
        started = time.monotonic()
        folder = os.path.join(self.path, _LOADING)
        try:
            with database.translating(self.path):
                os.makedirs(folder)
                written = write(folder)
                record = self._find(name, written.generation)
                already_there = record is not None
                if record is None:
                    record = self._record(name, row_format, embedding_dim, written)
                    self._ingest(record, written.paths)
                else:
                    record = self._make_newest(record)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        modified = already_there and self._database.get(record.modified_key) is not None
        self.last_load = LoadReport(
            record,
            already_there,
            modified,
            time.monotonic() - started,
            written.changed,
            written.erased,
        )
        return record.generation

    def _record(
        self, name: str, row_format: str, embedding_dim: int, written: TableFiles
    ) -> TableRecord:
        return TableRecord(
            name=name,
            generation=written.generation,
            column_family=formats.column_family(name, written.generation),
            embedding_dim=embedding_dim,
            row_format=row_format,
            rows=written.rows,
            sequence=self._next_sequence(),
            created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            min_key=written.min_key,
            max_key=written.max_key,
            base=written.base,
            rows_estimated=written.rows_estimated or None,
        )

    def _ingest(self, record: TableRecord, files: list[str]) -> None:
        options = database.make_options(self._compression)
        family = self._database.create_column_family(record.column_family, options)
        try:
            if files:
                move = rocksdict.IngestExternalFileOptions()
                move.set_move_files(True)
                family.ingest_external_file(files, move)
            self._put_new(record)
        except Exception:
            del family
            self._drop_rows(record)
            raise

    def _put_new(self, record: TableRecord) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        batch.put(record.key, record.to_json())
        if record.base is not None:
            version = str(formats.FORMAT_VERSION_OF_DELTAS).encode()
            batch.put(formats.FORMAT_VERSION_KEY, version)
        self._database.write(batch, database.synced())

    def _drop_rows(self, record: TableRecord) -> None:
        # On a full disk that may fail too. Rows without a record are no table: the next writer drops
        # them.
        with contextlib.suppress(Exception):
            self._database.drop_column_family(record.column_family)

    def _over(self, reader: StoreReader, name: str, base: str) -> LayeredTable:
        """What a delta is written over."""
        record = reader.record(name, base)
        if reader.modified(record):
            raise StoreError(
                f"{self.path}: the rows of table {name!r}, generation {base}, were updated since they were "
                "loaded, and no delta lies over rows that change. Load the table in full."
            )
        return reader.layers(record)

    def _make_newest(self, record: TableRecord) -> TableRecord:
        newest = max(r.sequence for r in self.tables() if r.name == record.name)
        if record.sequence < newest:
            record = dataclasses.replace(record, sequence=self._next_sequence())
            self._database.put(record.key, record.to_json(), database.synced())
        return record

    def _find(self, name: str, generation: str) -> TableRecord | None:
        for record in self.tables():
            if (record.name, record.generation) == (name, generation):
                return record
        return None

    def _next_sequence(self) -> int:
        return 1 + max((record.sequence for record in self.tables()), default=0)

    def _check_space(self, source: RowSource, width: int) -> None:
        if source.rows is None or self._compression != "none":
            return
        needed, free = source.rows * (8 + width), database.free_bytes(self.path)
        if needed > free:
            raise StoreError(
                f"{self.path}: {source.description} needs {needed:,} bytes, the disk has {free:,} free."
                " Nothing was added to the store; make room and load again."
            )


def _counted(
    batches: Iterator[StoredBatch], rows: int | None, progress: Progress | None
) -> Iterator[StoredBatch]:
    """The same, and tells how many rows were taken."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch[0])
        if progress is not None:
            progress(done, rows)
