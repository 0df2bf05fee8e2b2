"""The versions under a model's base path, as TensorFlow Serving sees them."""

from __future__ import annotations

import os


def versions_in(base_path: str) -> list[int]:
    """The numbers of the version folders that hold a SavedModel, ascending.

    A folder counts once its `saved_model.pb` is there; `tf_hps.export` brings it with the last rename.
    """
    try:
        names = os.listdir(base_path)
    except FileNotFoundError:
        return []
    return sorted(
        int(name)
        for name in names
        if name.isdecimal() and os.path.isfile(os.path.join(base_path, name, "saved_model.pb"))
    )


def folder_of(base_path: str, version: int) -> str:
    """A version's folder; its name may have leading zeros."""
    for name in os.listdir(base_path):
        if name.isdecimal() and int(name) == version:
            return os.path.join(base_path, name)
    raise FileNotFoundError(f"{base_path} has no folder of version {version}")
