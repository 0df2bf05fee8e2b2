"""Exports on their way to a bucket."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os

import tensorflow as tf

from tf_hps.store import manifest

_THREADS = 8
# A server that watches the bucket begins to load when this file is there.
_LAST = "saved_model.pb"


def is_remote(path: str) -> bool:
    """Whether `path` is for TensorFlow's file systems (gs://bucket/model), not for this machine's."""
    return "://" in path


def upload(saved_model: str, url: str) -> None:
    """Copies the folder of an export to `url`, each store with its manifest, or clears it up again.

    A store's manifest comes when its files are there, and saved_model.pb at the very end: what a killed
    process leaves is no store, and no model.
    """
    try:
        stores = [folder for folder, _, names in os.walk(saved_model) if "CURRENT" in names]
        left_out = {os.path.join(saved_model, _LAST)}
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
            for store in stores:
                files = _upload_all(threads, saved_model, url, store, manifest.listed(store))
                path = f"{_target(saved_model, url, store)}/{manifest.MANIFEST}"
                with tf.io.gfile.GFile(path, "w") as file:
                    file.write(manifest.manifest_text(files))
            for folder, _, names in os.walk(saved_model):
                rest = [name for name in names if os.path.join(folder, name) not in left_out]
                if folder not in stores:
                    _upload_all(threads, saved_model, url, folder, rest)
            _upload_all(threads, saved_model, url, saved_model, [_LAST])
    except BaseException:
        # What went wrong is the news, not that a bucket which is out of reach cannot be cleared up.
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.rmtree(url)
        raise


def _target(saved_model: str, url: str, folder: str) -> str:
    relative = os.path.relpath(folder, saved_model)
    return url if relative == "." else f"{url}/{relative.replace(os.sep, '/')}"


def _upload_all(
    threads: concurrent.futures.Executor, saved_model: str, url: str, folder: str, names: list[str]
) -> list[manifest.StoreFile]:
    target = _target(saved_model, url, folder)
    tf.io.gfile.makedirs(target)
    return list(threads.map(lambda name: _upload(folder, target, name), names))


def _upload(folder: str, target: str, name: str) -> manifest.StoreFile:
    with tf.io.gfile.GFile(f"{target}/{name}", "wb") as sink:
        sink.write(b"")  # Without a write there is no file, also where it has no bytes.
        return manifest.described(folder, name, sink.write)
