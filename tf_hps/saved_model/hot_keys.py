"""The keys that are asked for most, in files that a server begins with; see docs/formats.md."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MAGIC = b"hpshotk1"


def write_hot_keys(folder: str | os.PathLike[str], deployment: str, table: str, keys: Any) -> str:
    """Writes a table's hot keys, the hottest first; the file's path.

    Args:
        folder: What `memory.hot_keys_path` of a configuration names.
        deployment: The deployment's name.
        table: The table's name.
        keys: Integers [n].
    """
    array = _to_keys(keys)
    path = os.path.join(os.fspath(folder), deployment, f"{table}.keys")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{os.getpid()}.partial"
    with open(partial, "wb") as file:
        file.write(_MAGIC)
        file.write(array.astype("<i8").tobytes())
    os.replace(partial, path)
    return path


def read_hot_keys(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """The keys of a file that `write_hot_keys`, or a server, has written."""
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(_MAGIC) or (len(content) - len(_MAGIC)) % 8:
        raise ValueError(f"{path} holds no hot keys: they are {_MAGIC!r} and int64 keys")
    return np.frombuffer(content, "<i8", offset=len(_MAGIC)).astype(np.int64)


def _to_keys(keys: ArrayLike) -> NDArray[Any]:
    array = np.asarray(keys)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"`keys` are integers [n]. Received: {array.dtype} {array.shape}")
    return array
