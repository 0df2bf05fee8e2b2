"""Copies a store, or some tables of it."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tf_hps.store import database, formats, owners
from tf_hps.store.errors import StoreError, StoreInUseError
from tf_hps.store.reader import StoreReader

# RocksDB appends to these, or replaces them: a copy has its own. Table files never change.
_LINKED = (".sst",)
_NOT_COPIED = ("LOCK", "LOG", "rocksdict-config.json")
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)


def copy_store(
    source: str | os.PathLike[str], target: str | os.PathLike[str], tables: Mapping[str, str]
) -> None:
    """Copies some tables of the store `source` into the new store `target`, all of them or nothing.

    Files are hard links where the disk allows it. Works while this process has the store open, and
    while nobody writes into it; a store that another process has open for writing is an error.

    Args:
        source: The store's folder.
        target: The new folder; must not exist.
        tables: The generation wanted, by name of the table. A delta takes its base along.
    """
    source, target = os.path.abspath(os.fspath(source)), os.path.abspath(os.fspath(target))
    if os.path.lexists(target):
        raise StoreError(f"{target} exists already; a store is copied into a new folder")
    with StoreReader(source) as reader:
        records = [reader.record(*table) for table in tables.items()]
        # A delta is nothing without its base.
        records += [reader.record(r.name, r.base) for r in records if r.base is not None]
        wanted = {family for record in records for family in record.families}
    partial = target + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        with database.translating(os.path.dirname(target)):
            _snapshot(source, partial)
            _drop_others(partial, wanted)
            _sync_folder(partial)
            os.rename(partial, target)
            _sync_folder(os.path.dirname(target))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _snapshot(source: str, target: str) -> None:
    """Makes `target` a whole database with the contents of `source`."""
    if owners.op_library_writes(source):
        owners.op_library().store_checkpoint(source, target)
    elif (writer := owners.writer(source)) is not None:
        writer.checkpoint(target)
    else:
        with nobody_writes(source):
            os.makedirs(target)
            for name in sorted(os.listdir(source)):
                path = os.path.join(source, name)
                if os.path.isfile(path) and not name.startswith(_NOT_COPIED):
                    _link_or_copy(path, os.path.join(target, name))


@contextmanager
def nobody_writes(source: str) -> Iterator[None]:
    """Holds RocksDB's own lock: nobody writes meanwhile.

    Never while this process has the store open for writing: closing any descriptor of LOCK would
    drop the lock that RocksDB holds.
    """
    try:
        lock = os.open(os.path.join(source, "LOCK"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        # Where we may not write, nobody of our kind does.
        yield
        return
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreInUseError(
            f"{source} is open for writing in another process and cannot be copied meanwhile. Stop "
            "that process, or let it open the store read-only (TF_HPS_ROCKSDB_READ_ONLY=1), and try "
            "again."
        ) from error
    finally:
        os.close(lock)


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(_LINKED):
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    shutil.copyfile(source, target)
    with open(target, "rb") as copied:
        os.fsync(copied.fileno())


def _drop_others(path: str, wanted: set[str]) -> None:
    opened = database.open_for_writing(path, "none")
    try:
        for record in database.records(database.scan(opened, formats.TABLE_PREFIX), path):
            if record.column_family not in wanted:
                opened.delete(record.key)
                opened.delete(record.modified_key)
                opened.delete(record.stream_key)
                opened.delete(record.growth_key)
        for family in database.column_families(path):
            if family.startswith(formats.TABLE_FAMILIES) and family not in wanted:
                opened.drop_column_family(family)
        # A copy is mostly opened read-only: it has no log to replay then.
        opened.flush()
    finally:
        opened.close()


def _sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
