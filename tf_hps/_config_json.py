"""Reading and writing hps.json, strictly and whole."""

import atexit
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from typing import Any

from tf_hps._config_fields import check_object

FORMAT_VERSION = 1


def parse(text: str | bytes) -> dict[str, Any]:
    """The object in `text`; NaN, equal keys and other versions are a ValueError."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    except RecursionError:
        raise ValueError("values are nested too deep") from None
    document = check_object("the document", document)
    version = document.pop("format_version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(
            f"`format_version` is a whole number from 1 to {FORMAT_VERSION}. Received: {version!r}"
        )
    if version > FORMAT_VERSION:
        raise ValueError(
            f"has format_version {version}, this tf_hps reads versions up to {FORMAT_VERSION}; "
            "a newer tf_hps wrote it"
        )
    return document


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value; numbers are finite")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return document


def write(path: str, text: str) -> None:
    """Whole or not at all: a server may read `path` meanwhile."""
    folder, name = os.path.split(path)
    # Not a tempfile: those are readable to their owner only, and a server is often another user.
    unfinished = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(unfinished, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.remove(unfinished)
        raise


_folder: str | None = None


def write_private(text: str) -> str:
    """The path of an hps.json with `text` in a folder that goes with this process."""
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix="tf_hps_")
        atexit.register(_remove, _folder, os.getpid())
    folder = os.path.join(_folder, hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "hps.json")
    if not os.path.exists(path):
        write(path, text)
    return path


def _remove(folder: str, owner: int) -> None:
    # A forked child that ends must leave its parent's files alone.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
