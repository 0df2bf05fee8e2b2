"""Loading SavedModels that look rows up in tables."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from tf_hps import _library, _placement
from tf_hps.saved_model.config_assets import config_assets
from tf_hps.saved_model.upload import is_remote


def load(path: str | os.PathLike[str], **kwargs: Any) -> Any:
    """Loads a SavedModel that looks rows up in tables.

    Does what `tf.saved_model.load` needs first: loads the op library, without which TensorFlow does not know
    `HpsLookup`, looks whether the stores are there that the SavedModel names, and puts the tables on the
    first GPU, or on that of an enclosing `tf.device`, instead of the CPU.

    The folder may be a URL, `gs://bucket/ratings/1` or whatever TensorFlow can read. Its store is then fetched to
    the `rocksdb.state_dir` of this machine first, which `TF_HPS_ROCKSDB_STATE_DIR` names.

    Args:
        path: The SavedModel's folder.
        **kwargs: For `tf.saved_model.load`.

    Example:

    ```python
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8)])
    served = tf_hps.swap_embeddings(model, store=tempfile.mkdtemp())
    served.export(path := os.path.join(tempfile.mkdtemp(), "1"), verbose=False)
    loaded = tf_hps.load(path)
    loaded.serve(tf.constant([[1, 2, 999]]))
    ```
    """
    path = os.fspath(path)
    if not is_remote(path):
        path = os.path.abspath(path)
    if not tf.saved_model.contains_saved_model(path):
        raise FileNotFoundError(
            f"`path` is the folder of a SavedModel, with a saved_model.pb. Received: path={path}"
        )
    core = _library.load_core()
    # In a bucket the op library looks itself.
    for asset in () if is_remote(path) else config_assets(path):
        for entry in core.explain_config(asset.path):
            if entry["name"].endswith("rocksdb.path") and entry["value"]:
                _check_store(path, asset.path, entry["value"])
    with _placement.table_device():
        return tf.saved_model.load(path, **kwargs)


def _check_store(saved_model: str, config: str, store: str) -> None:
    if is_remote(store) or os.path.isfile(os.path.join(store, "CURRENT")):
        return
    message = (
        f"The SavedModel {saved_model} looks rows up in the store {store}, named in {config}, and there is "
        f"{'no RocksDB database' if os.path.exists(store) else 'nothing'}. "
    )
    if os.path.realpath(store).startswith(os.path.realpath(saved_model) + os.sep):
        message += (
            "assets.extra is not copied when a loaded model is saved again with tf.saved_model.save: "
            "copy the folder assets.extra from the model that was loaded, or save with tf_hps.export"
        )
    else:
        message += (
            "Bring the store there, or name where it is: TF_HPS_ROCKSDB_PATH=/path/of/store, or "
            "`rocksdb.path` in hps.json. tf_hps.export writes a SavedModel that carries its store"
        )
    raise FileNotFoundError(message)
