"""SavedModels: exported, moved, loaded elsewhere, and what is said when something is missing."""

import gc
import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import Dlrm, dlrm_batch, two_table_batch, two_table_model

import tf_hps

# A process that has nothing but the export and numbers.
_FRESH = """
import sys
import numpy as np
import tensorflow as tf
import tf_hps
loaded = tf_hps.load(sys.argv[1])
batch = np.load(sys.argv[2])
inputs = [tf.constant(batch[name]) for name in sorted(batch.files)]
inputs = inputs if len(inputs) > 1 else inputs[0]
np.save(sys.argv[3], loaded.serve(inputs) if sys.argv[4] == "serve" else loaded(inputs))
"""


def answer_elsewhere(saved_model, batch, folder, endpoint="serve"):
    """What the SavedModel answers in a process of its own."""
    np.savez(folder / "batch.npz", **{str(i): value for i, value in enumerate(batch)})
    arguments = [saved_model, folder / "batch.npz", folder / "answer.npy", endpoint]
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "answer.npy")


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def hps_json(saved_model):
    return json.loads((pathlib.Path(saved_model) / "assets" / "hps.json").read_text())


def test_a_self_contained_export_can_be_moved(store, tmp_path):
    model, batch = two_table_model(), two_table_batch()
    expected = np.array(model(batch))
    served = tf_hps.swap_embeddings(model, store)
    tf_hps.export(served, tmp_path / "export" / "1", verbose=False)
    config = hps_json(tmp_path / "export" / "1")
    assert config["rocksdb"] == {"path": "../assets.extra/hps", "read_only": True}
    generations = {e.table: e.generation for e in tf_hps.swap_report(served).moved}
    assert {name: t["generation"] for name, t in config["tables"].items()} == generations
    shutil.move(tmp_path / "export", tmp_path / "moved")
    shutil.rmtree(store)
    answer = answer_elsewhere(tmp_path / "moved" / "1", batch, tmp_path)
    np.testing.assert_array_equal(answer, expected)


def test_an_export_carries_only_what_the_model_uses(store, tmp_path):
    for seed in (1, 2):
        served = tf_hps.swap_embeddings(two_table_model(seed), store)
    tf_hps.export(served, tmp_path / "1", verbose=False)
    with tf_hps.store.StoreReader(tmp_path / "1" / "assets.extra" / "hps") as reader:
        used = {(record.name, record.generation) for record in reader.tables()}
    assert used == {(e.table, e.generation) for e in tf_hps.swap_report(served).moved}


def test_keras_export_leaves_the_store_where_it_is(store, tmp_path):
    model, batch = two_table_model(), two_table_batch()
    served = tf_hps.swap_embeddings(model, store)
    served.export(str(tmp_path / "a"), verbose=False)
    assert hps_json(tmp_path / "a")["rocksdb"]["path"] == store
    assert not (tmp_path / "a" / "assets.extra").exists()
    shutil.move(tmp_path / "a", tmp_path / "b")
    np.testing.assert_array_equal(answer_elsewhere(tmp_path / "b", batch, tmp_path), model(batch))


def test_the_rows_are_not_in_the_saved_model(store, tmp_path):
    model = two_table_model()
    served = tf_hps.swap_embeddings(model, store)
    served.export(str(tmp_path / "a"), verbose=False)
    shapes = [
        shape
        for _, shape in tf.train.list_variables(str(tmp_path / "a" / "variables" / "variables"))
    ]
    assert [50, 8] not in shapes and [80, 8] not in shapes and [16, 16] in shapes


def test_tf_saved_model_save_of_a_module(store, tmp_path):
    model, batch = two_table_model(), two_table_batch()
    served = tf_hps.swap_embeddings(model, store)

    class Service(tf.Module):
        def __init__(self):
            self.model = served

        @tf.function(
            input_signature=[[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)]]
        )
        def __call__(self, inputs):
            return self.model(inputs)

    for export, path in ((tf.saved_model.save, "plain"), (tf_hps.export, "carried")):
        export(Service(), str(tmp_path / path))
        answer = answer_elsewhere(tmp_path / path, batch, tmp_path, "__call__")
        np.testing.assert_array_equal(answer, model(batch))


def test_subclassed_models_export(store, tmp_path):
    model, batch = Dlrm(), dlrm_batch()
    expected = np.array(model(batch))
    served = tf_hps.swap_embeddings(model, store)
    tf_hps.export(served, tmp_path / "1", verbose=False)
    shutil.rmtree(store)
    loaded = tf_hps.load(tmp_path / "1")
    inputs = {"dense": batch["dense"], "ids": batch["ids"].astype(np.float32)}
    np.testing.assert_array_equal(loaded.serve(inputs), expected)


def test_an_export_replaces_nothing(store, tmp_path):
    served = tf_hps.swap_embeddings(two_table_model(), store)
    (tmp_path / "empty").mkdir()
    tf_hps.export(served, tmp_path / "empty", verbose=False)
    with pytest.raises(FileExistsError, match="replaces nothing"):
        tf_hps.export(served, tmp_path / "empty", verbose=False)
    assert not list(tmp_path.glob("*.partial"))


def test_an_export_that_fails_leaves_nothing(store, tmp_path):
    with pytest.raises(ValueError, match="holds no table"):
        tf_hps.export(two_table_model(), tmp_path / "1", verbose=False)
    assert sorted(tmp_path.iterdir()) == []


def test_rows_in_memory_alone_are_written_into_the_export(tmp_path):
    config = tf_hps.Config(
        deployment=f"memory-{tmp_path.name}",
        memory=tf_hps.MemoryConfig(),
        tables={"rows": tf_hps.TableConfig(embedding_dim=2)},
    )
    layer = tf_hps.layers.HpsEmbedding(config=config, table_name="rows")
    layer.table.insert([5, -3], [[1.0, 2.0], [3.0, 4.0]])
    model = keras.Sequential([keras.Input((3,), dtype="int64"), layer])
    batch = np.array([[5, -3, 0]])
    tf_hps.export(model, tmp_path / "1", verbose=False)
    loaded = tf_hps.load(tmp_path / "1")
    np.testing.assert_array_equal(loaded.serve(batch), model(batch))


def test_tables_of_several_stores_and_of_none(tmp_path):
    for name in ("a", "b"):
        with tf_hps.store.StoreWriter(tmp_path / name) as writer:
            writer.write_table(name, tf_hps.store.from_arrays(np.full((3, 2), len(name), "f4")))
    config = tf_hps.Config(
        deployment=f"several-{tmp_path.name}",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(path=str(tmp_path / "a"), read_only=True),
        tables={
            "a": tf_hps.TableConfig(),
            "b": tf_hps.TableConfig(rocksdb=tf_hps.RocksdbConfig(path=str(tmp_path / "b"))),
            "c": tf_hps.TableConfig(embedding_dim=2, rocksdb=False),
        },
    )
    ids = keras.Input((3,), dtype="int64")
    layers = [tf_hps.layers.HpsEmbedding(config=config, table_name=name) for name in "abc"]
    layers[2].table.insert([1], [[3.0, 4.0]])
    model = keras.Model(ids, keras.layers.Concatenate()([layer(ids) for layer in layers]))
    batch = np.array([[1, 2, 3]])
    expected = np.array(model(batch))
    tf_hps.export(model, tmp_path / "1", verbose=False)
    stores = sorted(path.name for path in (tmp_path / "1" / "assets.extra").iterdir())
    assert stores == ["hps", "hps-2", "hps-3"]
    for name in ("a", "b"):
        shutil.rmtree(tmp_path / name)
    answer = answer_elsewhere(tmp_path / "1", [batch], tmp_path)
    np.testing.assert_array_equal(answer, expected)


def test_an_export_with_a_literal_secret_is_refused(store, tmp_path):
    with tf_hps.store.StoreWriter(store) as writer:
        writer.write_table("rows", tf_hps.store.from_arrays(np.ones((3, 2), np.float32)))
    config = tmp_path / "hps.json"
    content = {"format_version": 1, "deployment": "secrets", "tables": {"rows": {}}}
    content["rocksdb"] = {"path": store, "read_only": True}
    config.write_text(json.dumps(content))
    layer = tf_hps.layers.HpsEmbedding(config=str(config), table_name="rows")
    model = keras.Sequential([keras.Input((3,), dtype="int64"), layer])
    content["rocksdb"]["password"] = "hunter2"
    config.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="password") as refused:
        tf_hps.export(model, tmp_path / "1", verbose=False)
    assert "hunter2" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hps.json", "store"]
    del content["rocksdb"]["password"]
    config.write_text(json.dumps(content))
    tf_hps.export(model, tmp_path / "1", verbose=False)


def test_a_store_that_is_gone_is_named_with_the_cure(store, tmp_path):
    served = tf_hps.swap_embeddings(two_table_model(), store)
    served.export(str(tmp_path / "1"), verbose=False)
    shutil.move(store, tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"{store}.*TF_HPS_ROCKSDB_PATH"):
        tf_hps.load(tmp_path / "1")
    shutil.move(tmp_path / "elsewhere", store)
    loaded = tf_hps.load(tmp_path / "1")
    assert loaded.serve(two_table_batch()).shape == (32, 1)


def test_a_loaded_model_saved_again_names_the_missing_store(store, tmp_path):
    model, batch = two_table_model(), two_table_batch()
    tf_hps.export(tf_hps.swap_embeddings(model, store), tmp_path / "first", verbose=False)
    wrapped = tf.Module()
    wrapped.model = tf_hps.load(tmp_path / "first")
    wrapped.serve = tf.function(
        wrapped.model.serve,
        input_signature=[[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)]],
    )
    tf.saved_model.save(wrapped, str(tmp_path / "second"))
    with pytest.raises(FileNotFoundError, match=r"assets\.extra is not copied"):
        tf_hps.load(tmp_path / "second")
    # The next good calls: the two cures that the message names.
    tf_hps.export(wrapped, tmp_path / "third")
    third = tf_hps.load(tmp_path / "third")
    np.testing.assert_array_equal(third.serve(batch), model(batch))
    shutil.copytree(tmp_path / "first" / "assets.extra", tmp_path / "second" / "assets.extra")
    second = tf_hps.load(tmp_path / "second")
    np.testing.assert_array_equal(second.serve(batch), model(batch))


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with a saved_model\.pb"):
        tf_hps.load(tmp_path)


def test_two_generations_in_one_process_answer_as_alone(store, tmp_path):
    batch = two_table_batch()
    models = [two_table_model(seed) for seed in (1, 2)]
    for number, model in enumerate(models):
        served = tf_hps.swap_embeddings(model, store)
        tf_hps.export(served, tmp_path / str(number), verbose=False)
    loaded = [tf_hps.load(tmp_path / str(number)) for number in range(2)]
    for _ in range(2):
        for model, each in zip(models, loaded, strict=True):
            np.testing.assert_array_equal(each.serve(batch), model(batch))


def resident_bytes():
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_dropping_a_loaded_model_gives_its_memory_back(tmp_path):
    rows, dim = 200_000, 64
    paths = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [keras.Input((1,), dtype="int32"), keras.layers.Embedding(rows, dim, name="id")]
        )
        paths.append(tmp_path / str(seed))
        tf_hps.export(tf_hps.swap_embeddings(model, tmp_path / "store"), paths[-1], verbose=False)
        del model
    gc.collect()
    loaded = [tf_hps.load(path) for path in paths]
    names = {store["path"] for store in tf_hps._library.load_core().open_stores()}
    assert {str(path / "assets.extra" / "hps") for path in paths} <= names
    ids = np.arange(rows)[:, None]
    answer = np.array(loaded[1].serve(ids))
    loaded[0].serve(ids)
    before = resident_bytes()
    loaded[0] = None
    freed = before - resident_bytes()
    assert freed > rows * dim * 4 / 2
    names = {store["path"] for store in tf_hps._library.load_core().open_stores()}
    assert str(paths[0] / "assets.extra" / "hps") not in names
    np.testing.assert_array_equal(loaded[1].serve(ids), answer)
