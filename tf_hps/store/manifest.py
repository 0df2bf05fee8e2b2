"""What a store's folder holds, for servers that fetch it from elsewhere; see docs/formats.md."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable

from tf_hps.store.copy import nobody_writes
from tf_hps.store.errors import StoreError

MANIFEST = "tf_hps_manifest.json"

_FORMAT_VERSION = 1
# RocksDB's lock and journal say nothing about rows.
_NOT_LISTED = ("LOCK", "LOG", "rocksdict-config.json", MANIFEST)
_CHUNK = 8 << 20


@dataclasses.dataclass(frozen=True)
class StoreFile:
    """One file of a store, and what is in it."""

    name: str
    bytes: int
    sha256: str


def listed(folder: str) -> list[str]:
    """Names of the files that make the store in `folder`."""
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(_NOT_LISTED)]
    if "CURRENT" not in names:
        raise StoreError(f"{folder} is no store: it has no file CURRENT")
    if folders := [name for name in names if not os.path.isfile(os.path.join(folder, name))]:
        raise StoreError(f"{folder} has what no store has: {', '.join(folders)}")
    return names


def manifest_text(files: Iterable[StoreFile]) -> str:
    """The content of a manifest."""
    document = {
        "format_version": _FORMAT_VERSION,
        "files": [dataclasses.asdict(file) for file in sorted(files, key=lambda file: file.name)],
    }
    return json.dumps(document, indent=1) + "\n"


def write_manifest(folder: str | os.PathLike[str]) -> list[StoreFile]:
    """Writes the manifest of the store in `folder` into it: it can be copied to a bucket then.

    A store that a process has open for writing is an error, and one that changes later needs a new manifest.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise StoreError(f"{folder} is no store: there is no such folder")
    with nobody_writes(folder):
        files = [described(folder, name) for name in listed(folder)]
        path = os.path.join(folder, MANIFEST)
        with open(path + ".partial", "w", encoding="utf-8") as file:
            file.write(manifest_text(files))
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".partial", path)
    return files


def described(folder: str, name: str, write: Callable[[bytes], object] | None = None) -> StoreFile:
    """A file, which is read once: what is read goes to `write` too."""
    digest, size = hashlib.sha256(), 0
    with open(os.path.join(folder, name), "rb") as file:
        while chunk := file.read(_CHUNK):
            if write is not None:
                write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return StoreFile(name, size, digest.hexdigest())
