"""Writes tables into a store without the op library."""

import contextlib
import dataclasses
import datetime
import os
import shutil
import time
from collections.abc import Callable
from types import TracebackType

import rocksdict

from tf_hps.store import database, formats, owners, row_formats
from tf_hps.store.errors import StoreError
from tf_hps.store.formats import TableRecord
from tf_hps.store.generation import GenerationHash
from tf_hps.store.sources import RowSource
from tf_hps.store.sst_slices import SstSlices
from tf_hps.store.stored_rows import ascending_rows

# (rows so far, rows in all or None when nobody knows)
Progress = Callable[[int, int | None], None]

_LOADING = "loading"


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What one `write_table` did."""

    record: TableRecord
    already_there: bool
    modified: bool
    seconds: float


class StoreWriter:
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
        return database.records(self._database, self.path)

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
        started = time.monotonic()
        folder = os.path.join(self.path, _LOADING)
        try:
            with database.translating(self.path):
                os.makedirs(folder)
                record, files = self._write_files(name, source, row_format, folder, progress)
                known = self._find(name, record.generation)
                if known is None:
                    self._ingest(record, files)
                else:
                    record = self._make_newest(known)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        modified = known is not None and self._database.get(record.modified_key) is not None
        seconds = time.monotonic() - started
        self.last_load = LoadReport(record, known is not None, modified, seconds)
        return record.generation

    def drop_table(self, name: str, generation: str) -> None:
        """Drops one generation of a table, and its disk space with it."""
        record = self._find(name, generation)
        if record is None:
            raise StoreError(f"{self.path} has no table {name!r} of generation {generation}")
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

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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

    def _write_files(
        self,
        name: str,
        source: RowSource,
        row_format: str,
        folder: str,
        progress: Progress | None,
    ) -> tuple[TableRecord, list[str]]:
        rows, min_key, max_key = 0, None, None
        with (
            SstSlices(folder, database.make_options(self._compression)) as files,
            GenerationHash(row_format, source.embedding_dim) as generation_hash,
        ):
            scratch = os.path.join(folder, "sort")
            for keys, stored in ascending_rows(source, row_format, scratch):
                generation_hash.update(keys, stored)
                files.add(keys, stored)
                rows += len(keys)
                min_key = int(keys[0]) if min_key is None else min_key
                max_key = int(keys[-1])
                if progress is not None:
                    progress(rows, source.rows)
            paths = files.finish()
            generation = generation_hash.hexdigest()
        record = TableRecord(
            name=name,
            generation=generation,
            column_family=formats.column_family(name, generation),
            embedding_dim=source.embedding_dim,
            row_format=row_format,
            rows=rows,
            sequence=self._next_sequence(),
            created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            min_key=min_key,
            max_key=max_key,
        )
        return record, paths

    def _ingest(self, record: TableRecord, files: list[str]) -> None:
        options = database.make_options(self._compression)
        family = self._database.create_column_family(record.column_family, options)
        try:
            if files:
                move = rocksdict.IngestExternalFileOptions()
                move.set_move_files(True)
                family.ingest_external_file(files, move)
            self._database.put(record.key, record.to_json(), database.synced())
        except Exception:
            del family
            self._drop_rows(record)
            raise

    def _drop_rows(self, record: TableRecord) -> None:
        # On a full disk that may fail too. Rows without a record are no table: the next writer drops
        # them.
        with contextlib.suppress(Exception):
            self._database.drop_column_family(record.column_family)

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
