"""Who in this process has which store open.

RocksDB's lock keeps other processes out, but not a second RocksDB library in the same process: the
op library and rocksdict each have one, and closing one database drops the other's lock.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from tf_hps.store.errors import StoreInUseError

if TYPE_CHECKING:
    from tf_hps.store.writer import StoreWriter

_writers: "dict[str, StoreWriter]" = {}


def add_writer(path: str, writer: "StoreWriter") -> None:
    _writers[os.path.realpath(path)] = writer


def remove_writer(path: str) -> None:
    _writers.pop(os.path.realpath(path), None)


def writer(path: str) -> "StoreWriter | None":
    """The StoreWriter of this process that has `path` open."""
    return _writers.get(os.path.realpath(path))


def op_library() -> Any:
    """The op library's bindings where this process has loaded them, else None."""
    return sys.modules.get("tf_hps._core")


def op_library_writes(path: str) -> bool:
    """Whether the op library in this process has `path` open for writing."""
    core = op_library()
    if core is None:
        return False
    wanted = os.path.realpath(path)
    return any(
        not store["read_only"] and os.path.realpath(store["path"]) == wanted
        for store in core.open_stores()
    )


def check_not_open_for_writing(path: str) -> None:
    """Raises a StoreInUseError when this process has the store open for writing already."""
    if op_library_writes(path):
        raise StoreInUseError(
            f"{path} is open for writing in this process, by a table of the op library. Drop the "
            "table, or open it with read_only=True, before its store is written offline."
        )
    if writer(path) is not None:
        raise StoreInUseError(
            f"{path} is open in another StoreWriter of this process. Close that one first."
        )


def check_not_written_offline(config_path: str, core: Any) -> None:
    """Raises a StoreInUseError when a StoreWriter of this process has a store open that the op library
    is about to open for writing, which RocksDB's lock would not notice."""
    if not _writers:
        return
    values = {line["name"]: line["value"] for line in core.explain_config(config_path)}
    path = values.get("rocksdb.path")
    if path and not values.get("rocksdb.read_only") and writer(path) is not None:
        raise StoreInUseError(
            f"{path} is open in a StoreWriter of this process. Close it before a table opens the store "
            "for writing, or open the table with read_only=True."
        )
