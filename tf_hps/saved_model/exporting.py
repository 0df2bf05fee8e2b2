"""SavedModels that carry their rows with them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_hps import _library
from tf_hps.config import Config
from tf_hps.saved_model.config_assets import STORE_FOLDER, ConfigAsset, config_assets, tables_used
from tf_hps.saved_model.hot_keys import write_hot_keys
from tf_hps.saved_model.lookup_groups import LookupGroup, group_saved_model
from tf_hps.saved_model.store_copies import StoreCopies
from tf_hps.saved_model.upload import is_remote, upload
from tf_hps.saved_model.warmup_requests import write_warmup_requests

_HOT_KEYS = "hps_hot_keys"


def export(
    served: Any,
    path: str | os.PathLike[str],
    group: bool = True,
    position: str | None = None,
    warmup: Iterable[Mapping[str, Any]] = (),
    hot_keys: int | Mapping[str, Any] = 0,
    base: str | Mapping[str, str] | None = None,
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

    With a URL as `path` (`gs://bucket/ratings/1`, whatever TensorFlow can write to) the export is made in a
    temporary folder and copied there, with a manifest for each store; servers fetch the stores by it.

    Args:
        served: A Keras model, or any `tf.Module` or trackable object that holds `tf_hps.Table`s.
        path: The new folder, or its URL; an empty one may be there.
        group: Whether lookups that do not wait for each other become one op in the SavedModel's functions,
            also those of a subclassed model, which `swap_embeddings` cannot group. Defaults to `True`.
        position: The position in the stream that the model's weights go with, as `Publisher.commit` returned
            it. Defaults to that of the newest commit, for tables that follow a stream.
        warmup: Requests that TensorFlow Serving replays before it serves the export: the inputs of
            `serving_default` by name, as arrays. Needs the extra `tf_hps[serving]`.
        hot_keys: Keys that a server has in a bounded memory tier before it serves, the hottest first, for
            each table; or how many of those that each table was asked for most. Defaults to none.
        base: A generation of each table that is to be carried as what differs from that one, by the table's
            name; of a model with one table the generation alone. The table's store must have it, as it was
            loaded. A store to which such an export goes loads in the time of what differs. Defaults to
            none: tables are carried in full.
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
    path = os.fspath(path)
    if is_remote(path):
        path = path.rstrip("/")
        _check_new(path, tf.io.gfile.exists(path) and tf.io.gfile.listdir(path))
        with tempfile.TemporaryDirectory(prefix="tf_hps-export-") as folder:
            here = os.path.join(folder, "export")
            groups = export(served, here, group, position, warmup, hot_keys, base, **kwargs)
            upload(here, path)
        return groups
    path = os.path.abspath(path)
    _check_new(path, os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)))
    partial = path + ".partial"
    shutil.rmtree(partial, ignore_errors=True)  # Of an export that was killed.
    try:
        if isinstance(served, keras.Model):
            served.export(partial, **kwargs)
        else:
            tf.saved_model.save(served, partial, **kwargs)
        groups = group_saved_model(partial) if group else ()
        _carry_stores(served, partial, position, hot_keys, base)
        if warmup := tuple(warmup):
            write_warmup_requests(partial, warmup)
        os.rename(partial, path)
        return groups
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_new(path: str, content: Any) -> None:
    if content:
        raise FileExistsError(
            f"`path` is a new or an empty folder: an export replaces nothing. Received: path={path}"
        )


def _carry_stores(
    served: Any,
    saved_model: str,
    position: str | None,
    hot_keys: int | Mapping[str, Any],
    base: str | Mapping[str, str] | None,
) -> None:
    tables = tables_used(saved_model)
    assets = config_assets(saved_model)
    if not tables or not assets:
        raise ValueError(
            "`served` holds no table: export it with `served.export(path)` or "
            f"`tf.saved_model.save(served, path)`. Received: served={served}"
        )
    if isinstance(hot_keys, Mapping) and (unknown := sorted(set(hot_keys) - set(tables))):
        raise ValueError(
            f"`hot_keys` names tables of the model: {', '.join(tables)}. Received: {', '.join(unknown)}"
        )
    bases = _bases(base, tables)
    copies = StoreCopies(os.path.join(saved_model, "assets.extra", STORE_FOLDER), bases)
    origins = _origins(served)
    carried = []
    for asset in assets:
        origin = origins.get(os.path.basename(asset.path), asset.path)
        named = asset.content.get("tables") or {}
        chosen = [name for name in tables if name in named]
        if asset.content.get("updates") is not None:
            if following := sorted(set(chosen).intersection(bases)):
                raise ValueError(
                    "`base` is for tables whose rows are in the export; those that follow a stream keep "
                    f"their store. Received: {', '.join(following)}"
                )
            _record_position(asset, origin, chosen, position)
            continue
        if position is not None:
            raise ValueError(
                "`position` is for tables that follow a stream, and the configuration has no `updates`. "
                f"Received: position={position!r}"
            )
        _carry_hot_keys(asset, origin, chosen, hot_keys)
        _add_stores(asset, origin, chosen, copies)
        carried.append((asset, origin, chosen))
    generations = copies.write()
    for asset, origin, chosen in carried:
        _rewrite(asset, origin, chosen, copies, generations)


def _bases(base: str | Mapping[str, str] | None, tables: list[str]) -> dict[str, str]:
    """By table."""
    if isinstance(base, str):
        if len(tables) != 1:
            raise ValueError(
                f"`base` is a generation for each table by name, of: {', '.join(tables)}. "
                f"Received: base={base!r}"
            )
        return {tables[0]: base}
    bases = dict(base or {})
    if unknown := sorted(set(bases) - set(tables)):
        raise ValueError(
            f"`base` names tables of the model: {', '.join(tables)}. Received: {', '.join(unknown)}"
        )
    return bases


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


def _carry_hot_keys(
    asset: ConfigAsset, origin: str, tables: list[str], hot_keys: int | Mapping[str, Any]
) -> None:
    if not hot_keys:
        return
    content = asset.content
    if not isinstance(content.get("memory"), dict):
        raise ValueError(f"`hot_keys` are for a tier in memory, which {origin} does not have")
    extra = os.path.join(os.path.dirname(os.path.dirname(asset.path)), "assets.extra")
    for name in tables:
        if isinstance(hot_keys, int):
            keys = _library.load_core().Table(origin, name).hot_keys(hot_keys)
        else:
            keys = hot_keys.get(name, ())
        if len(keys):
            write_hot_keys(os.path.join(extra, _HOT_KEYS), content["deployment"], name, keys)
    content["memory"]["hot_keys_path"] = f"../assets.extra/{_HOT_KEYS}"


def _add_stores(asset: ConfigAsset, origin: str, tables: list[str], copies: StoreCopies) -> None:
    core = _library.load_core()
    # Literal secrets are refused there, with the names of the fields that may hold them.
    with open(asset.path, encoding="utf-8") as file:
        core.check_config(file.read(), os.path.dirname(origin))
    for name in tables:
        copies.add(core.Table(origin, name), _store_path(origin, name))


def _rewrite(
    asset: ConfigAsset,
    origin: str,
    tables: list[str],
    copies: StoreCopies,
    generations: Mapping[tuple[str | None, str], str],
) -> None:
    core = _library.load_core()
    content = asset.content
    rewritten: dict[str, Any] = {}
    for name in tables:
        spec = core.Table(origin, name).spec
        options = dict(content["tables"][name])
        options.pop("rocksdb", None)
        store = _store_path(origin, name)
        folder = copies.folder(store)
        options.update(
            generation=generations[store, name],
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
    """The effective path of the table's RocksDB store; None where it has none here."""
    entries = _library.load_core().explain_config(config_path)
    values = {entry["name"]: entry["value"] for entry in entries}
    if values.get(f"tables.{table}.rocksdb", "") is None:  # This table does without.
        return None
    path = values.get(f"tables.{table}.rocksdb.path", values.get("rocksdb.path"))
    # Rows of a store in a bucket are written anew, as they are in the table: the same generation.
    return None if path is None or is_remote(path) else path


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
