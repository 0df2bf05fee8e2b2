"""SavedModels that hold tables: saved, moved, loaded in this process and in a fresh one, dropped."""

import gc
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from tables import filled_table, memory_config, rocksdb_config, rows_of

import tf_hps

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS = np.array([[1, 2], [3, 99]])
EXPECTED = np.array([[*rows_of([1, 2])], [rows_of(3), np.zeros(4)]])


class Model(tf.Module):
    """Looks ids up in tables, each held in an attribute."""

    def __init__(self, *tables):
        super().__init__()
        self.tables = list(tables)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.int64)])
    def __call__(self, ids):
        return [tf_hps.embedding_lookup(table, ids) for table in self.tables]


@pytest.fixture
def store(tmp_path):
    """A RocksDB store with rows of the keys 0 to 9."""
    filled_table(np.arange(10), rocksdb_config(tmp_path / "store"))
    gc.collect()
    return tmp_path / "store"


def read_only(store, deployment="saved"):
    return tf_hps.Config(
        deployment=deployment,
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(str(store), read_only=True),
        tables={"movie_id": tf_hps.TableConfig()},
    )


def save(path, *tables):
    tf.saved_model.save(Model(*tables), str(path))
    gc.collect()


def run_python(code, *args, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_loaded_in_this_process_it_shares_the_table(tmp_path):
    table = filled_table([1, 2, 3])
    save(tmp_path / "model", table)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(loaded(IDS)[0], EXPECTED)
    table.insert([99], rows_of([5]))
    np.testing.assert_array_equal(loaded(IDS)[0][1, 1], rows_of(5))


def test_one_config_is_one_asset_however_many_tables_it_has(tmp_path):
    config = memory_config("movie_id", "user_id")
    tables = [tf_hps.Table(name, config) for name in ("movie_id", "user_id")]
    tables[1].insert([1], rows_of([7]))
    save(tmp_path / "model", *tables)
    assert os.listdir(tmp_path / "model/assets") == ["hps.json"]
    movie, user = tf.saved_model.load(str(tmp_path / "model"))(np.array([1]))
    np.testing.assert_array_equal(movie, np.zeros([1, 4]))
    np.testing.assert_array_equal(user, rows_of([7]))


def test_tables_of_two_configs_are_two_assets(tmp_path):
    tables = [filled_table([1]), filled_table([2])]
    save(tmp_path / "model", *tables)
    assert len(os.listdir(tmp_path / "model/assets")) == 2
    first, second = tf.saved_model.load(str(tmp_path / "model"))(np.array([1, 2]))
    np.testing.assert_array_equal(first, [rows_of(1), np.zeros(4)])
    np.testing.assert_array_equal(second, [np.zeros(4), rows_of(2)])


def test_moved_with_its_store_it_is_loaded_by_a_fresh_process(tmp_path, store):
    save(tmp_path / "model", tf_hps.Table("movie_id", read_only(store)))
    moved = tmp_path / "elsewhere/2"
    shutil.move(tmp_path / "model", moved)
    (moved / "assets.extra").mkdir()
    shutil.move(store, moved / "assets.extra/hps")
    path = moved / "assets/hps.json"
    config = json.loads(path.read_text())
    assert config["rocksdb"]["path"] == str(store)
    config["rocksdb"]["path"] = "../assets.extra/hps"
    path.write_text(json.dumps(config))
    done = run_python(
        "import sys, tf_hps.ops, tensorflow as tf\n"
        "rows, = tf.saved_model.load(sys.argv[1])([[1, 2], [3, 99]])\n"
        "print(rows.numpy().tolist())",
        moved,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == EXPECTED.tolist()


def test_a_version_1_session_loads_it(tmp_path, store):
    save(tmp_path / "model", tf_hps.Table("movie_id", read_only(store)))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "model"))
        signature = model.signature_def["serving_default"]
        [output] = signature.outputs.values()
        [ids] = signature.inputs.values()
        rows = session.run(output.name, {ids.name: IDS})
    np.testing.assert_array_equal(rows, EXPECTED)


def test_saved_again_after_loading(tmp_path, store):
    save(tmp_path / "first", tf_hps.Table("movie_id", read_only(store)))
    loaded = tf.saved_model.load(str(tmp_path / "first"))
    tf.saved_model.save(loaded, str(tmp_path / "second"))
    del loaded
    shutil.rmtree(tmp_path / "first")
    again = tf.saved_model.load(str(tmp_path / "second"))
    np.testing.assert_array_equal(again(IDS)[0], EXPECTED)


def is_open(store):
    return str(store) in {one["path"] for one in tf_hps._library.load_core().open_stores()}


def test_two_loaded_copies_live_and_go_one_by_one(tmp_path, store):
    config = read_only(store, "two-copies")
    save(tmp_path / "model", tf_hps.Table("movie_id", config))
    copies = [tf.saved_model.load(str(tmp_path / "model")) for _ in range(2)]
    for copy in copies:
        np.testing.assert_array_equal(copy(IDS)[0], EXPECTED)
    del copies[0], copy
    gc.collect()
    np.testing.assert_array_equal(copies[0](IDS)[0], EXPECTED)
    assert is_open(store)
    copies.clear()
    gc.collect()
    assert not is_open(store)  # the last one closed it


def test_dropping_a_model_while_it_is_called(tmp_path, store):
    # Without a memory tier every call is on its way to the store and back.
    config = tf_hps.Config(
        deployment="dropped-in-flight",
        rocksdb=tf_hps.RocksdbConfig(str(store), read_only=True),
        tables={"movie_id": tf_hps.TableConfig()},
    )
    save(tmp_path / "model", tf_hps.Table("movie_id", config))
    unexpected = []

    def call(model):
        ids = tf.constant(np.arange(30) % 10)
        for _ in range(20):
            rows = model(ids)[0].numpy()
            if not np.array_equal(rows, rows_of(ids)):
                unexpected.append(rows)

    for _ in range(3):
        model = tf.saved_model.load(str(tmp_path / "model"))
        threads = [threading.Thread(target=call, args=[model]) for _ in range(4)]
        for thread in threads:
            thread.start()
        del model
        gc.collect()
        for thread in threads:
            thread.join()
    assert unexpected == []
    threads.clear()
    gc.collect()
    assert not is_open(store)


def test_a_missing_store_is_named_when_the_model_is_loaded(tmp_path, store):
    save(tmp_path / "model", tf_hps.Table("movie_id", read_only(store, "missing")))
    shutil.move(store, tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=str(store)):  # what the loader makes of NotFound
        tf.saved_model.load(str(tmp_path / "model"))
    shutil.move(tmp_path / "moved", store)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(loaded(IDS)[0], EXPECTED)


def test_without_the_op_library_tensorflow_names_the_op(tmp_path):
    save(tmp_path / "model", filled_table([1]))
    done = run_python(
        "import sys, tensorflow as tf\ntf.saved_model.load(sys.argv[1])", tmp_path / "model"
    )
    assert done.returncode != 0
    assert re.search(r"Op type not registered 'Hps\w+' in binary running on", done.stderr)


def test_another_tensorflow_is_an_import_error_in_words():
    done = run_python(
        "import tensorflow as tf\ntf.__version__ = '2.20.1'\nimport tf_hps.ops",
    )
    assert done.returncode != 0
    assert "works with TensorFlow 2.21, and this is TensorFlow 2.20.1" in done.stderr
    assert "pip install 'tensorflow>=2.21,<2.22'" in done.stderr


def test_another_keras_backend_is_an_import_error_in_words():
    done = run_python(
        "import keras\nkeras.backend.backend = lambda: 'jax'\n"
        "from tf_hps import _library\n_library.check_keras_backend()"
    )
    assert done.returncode != 0
    assert "Keras' backend here is 'jax'" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr


def test_importing_the_package_is_cheap():
    done = run_python(
        "import sys, tf_hps\n"
        "tf_hps.Config\n"
        "assert 'tensorflow' not in sys.modules and 'tf_hps._core' not in sys.modules\n"
        "assert 'embedding_lookup' in dir(tf_hps) and tf_hps.__version__\n"
        "try: tf_hps.no_such_thing\n"
        "except AttributeError as error: print(error)"
    )
    assert done.returncode == 0, done.stderr
    assert "module 'tf_hps' has no attribute 'no_such_thing'" in done.stdout
