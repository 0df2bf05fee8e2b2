"""SavedModels that carry their rows with them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from typing import Any

import keras
import tensorflow as tf

from tf_hps import _library
from tf_hps.config import Config
from tf_hps.saved_model.config_assets import STORE_FOLDER, ConfigAsset, config_assets, tables_used
from tf_hps.saved_model.lookup_groups import LookupGroup, group_saved_model
from tf_hps.saved_model.store_copies import StoreCopies


def export(
    served: Any,
    path: str | os.PathLike[str],
    group: bool = True,
    position: str | None = None,
    **kwargs: Any,
) -> tuple[LookupGroup, ...]:
    """Exports a model as a SavedModel that carries the rows of its tables: the folder can be moved.

    The rows are copied into `assets.extra/hps`, only the tables and generations that the model uses, as hard
    links where the disk allows it; `assets/hps.json` names them by a relative path, read-only. Rows of a
    table without a RocksDB tier are written from memory. The export appears under `path` when it is whole.

    Tables that follow a stream (`updates` in their configuration) keep their store, which has to live outside
    of the export: `assets/hps.json` gets the stream's position, and a server that loads the export waits
    until it has applied the commits up to there.

    `served.export(path)` and `tf.saved_model.save(served, path)` leave the rows where they are instead, and
    write the store's absolute path.

    Args:
        served: A Keras model, or any `tf.Module` or trackable object that holds `tf_hps.Table`s.
        path: The new folder; an empty one may be there.
        group: Whether lookups that do not wait for each other become one op in the SavedModel's functions,
            also those of a subclassed model, which `swap_embeddings` cannot group. Defaults to `True`.
        position: The position in the stream that the model's weights go with, as `Publisher.commit` returned
            it. Defaults to that of the newest commit, for tables that follow a stream.
        **kwargs: For `keras.Model.export`, or `tf.saved_model.save` where `served` is no Keras model.

    Returns:
        What was grouped, function by function; `print` shows the names of the lookups.

    Example:

    ```python
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8)])
    served = tf_hps.swap_embeddings(model, store=tempfile.mkdtemp())
    path = os.path.join(tempfile.mkdtemp(), "1")
    tf_hps.export(served, path, verbose=False)
    loaded = tf_hps.load(path)
    loaded.serve(tf.constant([[1, 2, 999]]))
    ```
    """
    path = os.path.abspath(os.fspath(path))
    if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)):
        raise FileExistsError(
            f"`path` is a new or an empty folder: an export replaces nothing. Received: path={path}"
        )
    partial = path + ".partial"
    shutil.rmtree(partial, ignore_errors=True)  # Of an export that was killed.
    try:
        if isinstance(served, keras.Model):
            served.export(partial, **kwargs)
        else:
            tf.saved_model.save(served, partial, **kwargs)
        groups = group_saved_model(partial) if group else ()
        _carry_stores(served, partial, position)
        os.rename(partial, path)
        return groups
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _carry_stores(served: Any, saved_model: str, position: str | None) -> None:
    tables = tables_used(saved_model)
    assets = config_assets(saved_model)
    if not tables or not assets:
        raise ValueError(
            "`served` holds no table: export it with `served.export(path)` or "
            f"`tf.saved_model.save(served, path)`. Received: served={served}"
        )
    copies = StoreCopies(os.path.join(saved_model, "assets.extra", STORE_FOLDER))
    origins = _origins(served)
    for asset in assets:
        origin = origins.get(os.path.basename(asset.path), asset.path)
        named = asset.content.get("tables") or {}
        if asset.content.get("updates") is not None:
            _record_position(asset, origin, [name for name in tables if name in named], position)
            continue
        if position is not None:
            raise ValueError(
                "`position` is for tables that follow a stream, and the configuration has no `updates`. "
                f"Received: position={position!r}"
            )
        _rewrite(asset, origin, [name for name in tables if name in named], copies)
    copies.finish()


def _record_position(
    asset: ConfigAsset, origin: str, names: list[str], position: str | None
) -> None:
    """Paths stay those of the configuration, absolute: the asset is in another folder."""
    core = _library.load_core()
    config = Config.load(origin).absolute()
    assert config.updates is not None
    updates = dataclasses.replace(
        config.updates, position=position or core.newest_position(origin) or None
    )
    tables = {}
    for name in names:
        spec = core.Table(origin, name).spec
        tables[name] = dataclasses.replace(
            config.tables[name],
            generation=spec["generation"] or None,
            embedding_dim=spec["embedding_dim"],
            row_format=spec["row_format"],
        )
    config = dataclasses.replace(config, updates=updates, tables=tables)
    asset.content = json.loads(config.to_json())
    asset.write()


def _rewrite(asset: ConfigAsset, origin: str, tables: list[str], copies: StoreCopies) -> None:
    core = _library.load_core()
    # Literal secrets are refused there, with the names of the fields that may hold them.
    with open(asset.path, encoding="utf-8") as file:
        core.check_config(file.read(), os.path.dirname(origin))
    content = asset.content
    rewritten: dict[str, Any] = {}
    for name in tables:
        table = core.Table(origin, name)
        spec = table.spec
        options = dict(content["tables"][name])
        options.pop("rocksdb", None)
        folder, generation = copies.add(table, _store_path(origin, name))
        options.update(
            generation=generation,
            embedding_dim=spec["embedding_dim"],
            row_format=spec["row_format"],
        )
        relative = f"../assets.extra/{os.path.basename(folder)}"
        if os.path.basename(folder) != STORE_FOLDER:
            options["rocksdb"] = {"path": relative}
        rewritten[name] = options
    content["tables"] = rewritten
    content["rocksdb"] = {
        **(content.get("rocksdb") or {}),
        "path": f"../assets.extra/{STORE_FOLDER}",
        "read_only": True,
    }
    asset.write()


def _store_path(config_path: str, table: str) -> str | None:
    """The effective path of the table's RocksDB store; None where it has none."""
    entries = _library.load_core().explain_config(config_path)
    values = {entry["name"]: entry["value"] for entry in entries}
    if values.get(f"tables.{table}.rocksdb", "") is None:  # This table does without.
        return None
    return values.get(f"tables.{table}.rocksdb.path", values.get("rocksdb.path"))


def _origins(served: Any) -> dict[str, str]:
    """Where assets came from, by file name: relative paths in them start there."""
    if not isinstance(served, tf.__internal__.tracking.Trackable):
        return {}
    paths = [
        os.fsdecode(asset.asset_path.numpy())
        for asset in tf.train.TrackableView(served).descendants()
        if isinstance(asset, tf.saved_model.Asset)
    ]
    return {os.path.basename(path): path for path in paths}
