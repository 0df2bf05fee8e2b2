"""RocksDB as a store of tables uses it: written through rocksdict, read through tf_hps._rocksdb."""

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import rocksdict

from tf_hps._library import load_rocksdb
from tf_hps.store import formats
from tf_hps.store.errors import StoreError, StoreInUseError
from tf_hps.store.formats import TableRecord

if TYPE_CHECKING:
    from tf_hps._rocksdb import Database

COMPRESSIONS = ("none", "lz4")

_PAUSES = (0.01, 0.05, 0.2)  # seconds
_BLOOM_BITS_PER_KEY = 10
_FILES_OF_A_WRITER = 20  # the fewest that RocksDB takes
_FULL = ("No space left on device", "File too large", "Disk quota exceeded")


def make_options(compression: str = "none") -> rocksdict.Options:
    """Options whose files Debian's RocksDB 7.8 reads (docs/formats.md)."""
    table = rocksdict.BlockBasedOptions()
    table.set_format_version(5)
    table.set_bloom_filter(_BLOOM_BITS_PER_KEY, False)
    options = rocksdict.Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    codec = rocksdict.DBCompressionType
    options.set_compression_type(codec.lz4() if compression == "lz4" else codec.none())
    options.set_keep_log_file_num(2)
    return options


def is_database(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "CURRENT"))


def open_for_writing(path: str, compression: str) -> rocksdict.Rdict:
    """Opens the database at `path`, made if it is not there, for this process alone."""
    if os.path.exists(path) and not os.path.isdir(path):
        raise StoreError(f"{path} is a file; a store is a folder")
    if os.path.isdir(path) and not is_database(path) and _foreign_files(path):
        raise StoreError(
            f"{path} holds other files and no RocksDB database; name an empty or new folder"
        )
    families = []
    if is_database(path):
        # Before the first open for writing, which would take a foreign database for ours.
        before = open_read_only(path, files="none")
        try:
            check_format_version(before, path)
            families = before.families()
        finally:
            before.close()
    os.makedirs(path, exist_ok=True)
    options = make_options(compression)
    options.create_if_missing(True)
    # Tables that are there are not read: their indices and filters, 1 % of them, are not either.
    options.set_max_open_files(_FILES_OF_A_WRITER)
    options.set_skip_stats_update_on_db_open(True)
    # Named one by one: otherwise rocksdict takes their options from the OPTIONS file.
    with translating(path):
        return rocksdict.Rdict(
            path, options, {name: make_options(compression) for name in families}
        )


def open_read_only(path: str, files: str = "all") -> "Database":
    """Opens the database at `path` as it is now; `files` as tf_hps._rocksdb.Database says; takes no lock."""
    if not is_database(path):
        what = "has no RocksDB database" if os.path.isdir(path) else "does not exist"
        raise StoreError(f"{path} {what}; `tf-hps load` or tf_hps.store.StoreWriter makes a store")
    for pause in _PAUSES:
        # A writer in another process may replace a file, or drop a table, between two looks.
        with suppress(OSError):
            return _read_only(path, files)
        time.sleep(pause)
    with translating(path):
        return _read_only(path, files)


def _read_only(path: str, files: str) -> "Database":
    database: Database = load_rocksdb().Database(path, files)
    return database


def column_families(path: str) -> list[str]:
    """The column families of the database at `path`, without the default one."""
    with translating(path):
        return [name for name in rocksdict.Rdict.list_cf(path) if name != "default"]


def check_format_version(database: "Database", path: str) -> None:
    """Raises a StoreError for a database that is no tf_hps store, or a newer one."""
    version = database.get(formats.FORMAT_VERSION_KEY)
    # A kill right after RocksDB made its files leaves a database with nothing in it.
    empty = version is None and not database.items(b"", 1) and not database.families()
    if empty:
        return
    if version is None:
        raise StoreError(
            f"{path} is a RocksDB database of somebody else: it has no tf_hps/format_version"
        )
    if not version.isdigit() or int(version) > formats.FORMAT_VERSION_OF_DELTAS:
        raise StoreError(
            f"{path} has store format {version.decode(errors='replace')}; this tf_hps reads "
            f"{formats.FORMAT_VERSION_OF_DELTAS} and older. Update tf_hps."
        )


def records(items: Iterable[tuple[bytes, bytes]], path: str) -> list[TableRecord]:
    """The tables that were loaded to their end, oldest first.

    Args:
        items: the keys that begin with TABLE_PREFIX, and their values.
        path: the database.
    """
    found = [TableRecord.parse(key, value, path) for key, value in items]
    return sorted(found, key=lambda record: record.sequence)


@contextmanager
def translating(path: str) -> Iterator[None]:
    """Raises what `translated` says for errors inside."""
    try:
        yield
    except Exception as error:
        better = translated(error, path)
        if better is error:
            raise
        raise better from error


def scan(database: rocksdict.Rdict, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys that begin so, with their values. (`Rdict.items` ends at a damaged block as at the end.)"""
    iterator: Any = database.iter()
    iterator.seek(prefix)
    while iterator.valid() and iterator.key().startswith(prefix):
        yield iterator.key(), iterator.value()
        iterator.next()
    iterator.status()


def synced() -> rocksdict.WriteOptions:
    options = rocksdict.WriteOptions()
    options.sync = True
    return options


def translated(error: Exception, path: str) -> Exception:
    """The error to raise for `error`; rocksdict raises plain Exceptions, told apart by their text."""
    text = str(error)
    if type(error) is not Exception and not isinstance(error, OSError):
        return error
    if "lock hold by current process" in text:
        return StoreInUseError(
            f"{path} is open in this process already; close it there first ({text})"
        )
    if "While lock file" in text and "temporarily unavailable" in text:
        return StoreInUseError(
            f"{path} is open for writing in another process. Stop that process, or let it open the "
            "store read-only (read_only in hps.json, or TF_HPS_ROCKSDB_READ_ONLY=1), and try again."
        )
    if "unsupported format_version" in text:
        return StoreError(
            f"{path} is a RocksDB database of somebody else, or of a newer tf_hps: this RocksDB does not "
            f"read its files ({text})"
        )
    full = any(words in text for words in _FULL)
    if full or getattr(error, "errno", None) in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return StoreError(
            f"{path}: the disk is full ({free_bytes(path):,} bytes free) or a limit is reached: {text}."
            " Nothing was added to the store; make room and load again."
        )
    return StoreError(f"{path}: {text}")


def free_bytes(path: str) -> int:
    return shutil.disk_usage(path).free


def _foreign_files(path: str) -> bool:
    # What RocksDB and this package make before a database is whole.
    ours = ("LOCK", "LOG", "IDENTITY", "MANIFEST-", "OPTIONS-", "rocksdict-config.json", "loading")
    return any(
        not name.startswith(ours) and not name.endswith(".dbtmp") for name in os.listdir(path)
    )
