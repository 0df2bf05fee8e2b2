"""Tables that lie over another generation: served, updated, and carried by exports."""

import gc
import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import two_table_batch, two_table_model
from tables import memory_config

import tf_hps
from tf_hps.cli import main
from tf_hps.store import StoreError, StoreReader, StoreWriter, from_arrays

KEYS = np.array([-(1 << 63), -7, 1, 2, 3, 4, 5, (1 << 63) - 1])
ROWS = np.arange(32, dtype=np.float32).reshape(8, 4) + 1
ASKED = [*KEYS, 6, 8]


def config_of(path, memory=None, read_only=False, **table):
    return tf_hps.Config(
        deployment=f"delta-{path.parent.name}",
        memory=memory,
        rocksdb=tf_hps.RocksdbConfig(str(path), read_only=read_only),
        tables={"t": tf_hps.TableConfig(**table)},
    )


@pytest.fixture
def deltas(tmp_path):
    """A store, the generation in full, a delta over it, and what its keys have."""
    path = tmp_path / "s"
    with StoreWriter(path) as writer:
        root = writer.write_table("t", from_arrays(ROWS, KEYS))
        changed = from_arrays(-ROWS[[0, 2]], KEYS[[0, 2]])
        delta = writer.write_delta("t", root, changed, KEYS[[4, 7]])
    rows = np.concatenate([ROWS, np.zeros((2, 4), np.float32)])
    rows[[0, 2]] *= -1
    rows[[4, 7]] = 0
    return path, root, delta, rows


@pytest.mark.parametrize("memory", [None, tf_hps.MemoryConfig(), tf_hps.MemoryConfig(preload=True)])
def test_lookups_see_the_rows_of_both(deltas, memory):
    path, _, delta, rows = deltas
    table = tf_hps.Table("t", config_of(path, memory, read_only=True))
    assert table.generation == delta and len(table) == 6 and table.rows_exact
    if memory is not None and memory.preload:
        table.wait_for_preload()
    for _ in range(2):
        np.testing.assert_array_equal(tf_hps.embedding_lookup(table, ASKED), rows)


def test_a_delta_takes_updates_and_its_base_does_not(deltas):
    path, root, delta, rows = deltas
    table = tf_hps.Table("t", config_of(path))
    table.insert(KEYS[[4, 5]], ROWS[[4, 5]] * 9)
    table.erase(KEYS[[0, 6]])
    rows[[4, 5]] = ROWS[[4, 5]] * 9
    rows[[0, 6]] = 0
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, ASKED), rows)
    base = tf_hps.Table("t", config_of(path, generation=root))
    with pytest.raises(
        tf.errors.FailedPreconditionError, match=f"takes no rows: {delta} is a delta"
    ):
        base.insert([1], [[0.0] * 4])
    np.testing.assert_array_equal(tf_hps.embedding_lookup(base, KEYS), ROWS)
    del table, base
    gc.collect()
    with StoreReader(path) as reader:
        record = reader.record("t", delta)
        assert reader.modified(record) and not reader.modified(reader.record("t", root))
        stored, found = reader.get(record, np.array(ASKED))
        np.testing.assert_array_equal(stored.view(np.float32), rows)
        assert found.tolist() == (rows != 0).any(axis=1).tolist()
    with StoreWriter(path) as writer, pytest.raises(StoreError, match="were updated since"):
        writer.write_delta("t", delta, None, [1])


def test_a_base_follows_no_stream(deltas, tmp_path):
    path, root, delta, _ = deltas
    updates = tf_hps.UpdatesConfig(url=str(tmp_path / "stream"))
    followed = tf_hps.Config(
        deployment="follows",
        rocksdb=tf_hps.RocksdbConfig(str(path)),
        updates=updates,
        tables={"t": tf_hps.TableConfig(generation=root)},
    )
    with pytest.raises(
        tf_hps.errors.FailedPreconditionError, match=f"takes no rows: {delta} is a delta"
    ):
        tf_hps.Table("t", followed)


def retrained(model):
    """The same with some other rows."""
    layer = model.get_layer("movie_id")
    rows = np.array(layer.embeddings)
    rows[[3, 40]] += 1
    layer.embeddings.assign(rows)
    return model


def generations_in(path):
    with StoreReader(path) as reader:
        return {(r.name, r.generation): r for r in reader.tables()}


def test_an_export_over_a_base_has_the_rows_of_a_full_one(tmp_path, capsys):
    store, batch = str(tmp_path / "store"), two_table_batch()
    first = tf_hps.swap_report(tf_hps.swap_embeddings(two_table_model(), store))
    base = {entry.table: entry.generation for entry in first.moved}
    model = retrained(two_table_model())
    served = tf_hps.swap_embeddings(model, store)
    now = {entry.table: entry.generation for entry in tf_hps.swap_report(served).moved}
    movie, user = sorted(base)
    assert now[user] == base[user] and now[movie] != base[movie]
    tf_hps.export(served, tmp_path / "1", base=base, verbose=False)
    exported = tmp_path / "1" / "assets.extra" / "hps"
    tables = json.loads((tmp_path / "1" / "assets" / "hps.json").read_text())["tables"]
    carried = generations_in(exported)
    assert tables[user]["generation"] == base[user]
    delta = carried[movie, tables[movie]["generation"]]
    assert delta.base == base[movie] and delta.rows == 80
    assert set(carried) == {(user, base[user]), (movie, base[movie]), (movie, delta.generation)}
    inodes = {entry.inode() for entry in os.scandir(store)}
    shared = [e for e in os.scandir(exported) if e.inode() in inodes]
    assert len(shared) >= 2
    rows = np.array(model.get_layer("movie_id").embeddings)
    np.save(tmp_path / "rows.npy", rows)
    verify = ("verify", "--table", movie, "--from", str(tmp_path / "rows.npy"), "--store")
    for path in (exported, store):
        assert main([*verify, str(path)]) == 0
        assert "80 equal, 0 different" in capsys.readouterr().out
    expected = np.array(model(batch))
    shutil.rmtree(store)
    loaded = tf_hps.load(tmp_path / "1")
    np.testing.assert_array_equal(loaded.serve(batch), expected)


def test_an_export_over_a_delta_lies_over_what_that_lies_over(tmp_path):
    path = tmp_path / "s"
    rows = np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32)
    with StoreWriter(path) as writer:
        root = writer.write_table("t", from_arrays(rows))
        delta = writer.write_delta("t", root, from_arrays(rows[:3] * 2), [40])
        rows[2:5] = 7
        now = writer.write_table("t", from_arrays(rows))
    config = config_of(path, tf_hps.MemoryConfig(), generation=now)
    layer = tf_hps.layers.HpsEmbedding(config=config, table_name="t")
    model = keras.Sequential([keras.Input((3,), dtype="int64"), layer])
    for base, number in ((delta, "1"), (root, "2"), (now, "3")):
        tf_hps.export(model, tmp_path / number, base=base, verbose=False)
        carried = generations_in(tmp_path / number / "assets.extra" / "hps").values()
        assert {record.base for record in carried} == ({None, root} if base != now else {None})
        assert len(carried) == (2 if base != now else 1)
        loaded = tf_hps.load(tmp_path / number)
        answer = np.array(loaded.serve(np.arange(48).reshape(-1, 3))).reshape(48, 4)
        np.testing.assert_array_equal(answer, rows[:48])


def test_a_base_that_cannot_be_is_refused(tmp_path):
    store = str(tmp_path / "store")
    served = tf_hps.swap_embeddings(two_table_model(), store)
    with pytest.raises(
        ValueError, match="`base` is a generation for each table by name, of: movie_id"
    ):
        tf_hps.export(served, tmp_path / "1", base="0" * 32, verbose=False)
    with pytest.raises(ValueError, match=r"`base` names tables of the model: .*Received: other"):
        tf_hps.export(served, tmp_path / "1", base={"other": "0" * 32}, verbose=False)
    with pytest.raises(StoreError, match=r"has no table 'movie_id' of generation 0000.* It has: "):
        tf_hps.export(served, tmp_path / "1", base={"movie_id": "0" * 32}, verbose=False)
    layer = tf_hps.layers.HpsEmbedding(config=memory_config("t"), table_name="t")
    layer.table.insert([1], [[1.0] * 4])
    model = keras.Sequential([keras.Input((3,), dtype="int64"), layer])
    with pytest.raises(ValueError, match="rows of table 't' are in memory alone"):
        tf_hps.export(model, tmp_path / "1", base="0" * 32, verbose=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
