"""Lookups on fake GPUs: the checks in fake_gpu/, in a process of their own with another op library, and a
server without Python on it."""

import gc
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tf_hps

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("TF_HPS_TEST_BUILD", ROOT / "build/release"))


@pytest.fixture(scope="module")
def library() -> pathlib.Path:
    library = BUILD / "emulated/tf_hps/_tf_hps_ops.so"
    assert library.exists(), f"{library} is not built: ./run test builds it"
    return library


@pytest.fixture(scope="module")
def package(library: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with tf_hps in it, as it is but for the op library."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "tf_hps"
    copy.mkdir()
    for source in (ROOT / "tf_hps").iterdir():
        if source.name == "_tf_hps_ops.so":
            continue
        if source.name.startswith("_core.") and source.suffix == ".so":
            shutil.copy(source, copy)  # finds the op library beside itself
        else:
            (copy / source.name).symlink_to(source)
    (copy / "_tf_hps_ops.so").symlink_to(library)
    return folder


@pytest.mark.parametrize(
    "checks", sorted((ROOT / "tests/python/fake_gpu").glob("*.py")), ids=lambda path: path.stem
)
def test_on_fake_gpus(package: pathlib.Path, checks: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, checks],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(package), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


class Model(tf.Module):
    def __init__(self, table: tf_hps.Table) -> None:
        self.table = table

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="ids")])
    def __call__(self, ids):
        return tf_hps.embedding_lookup(self.table, ids)


def test_a_server_without_python_looks_up_on_the_gpu(library: pathlib.Path, tmp_path: pathlib.Path):
    config = tf_hps.Config(
        rocksdb=tf_hps.RocksdbConfig(tmp_path / "store"),
        gpu_cache=tf_hps.GpuCacheConfig(capacity_rows=300),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=4, default_row=[9.0] * 4)},
    )
    table = tf_hps.Table("movie_id", config, device="/CPU:0")
    table.insert([1, 2, -3], np.arange(12, dtype=np.float32).reshape(3, 4))
    model = Model(table)
    tf.saved_model.save(model, str(tmp_path / "1"), signatures=model.__call__)
    del model, table  # the store has one writer
    gc.collect()
    (tmp_path / "ids.csv").write_text("ids\n2\n7\n-3\n2\n")
    options = ["--library", library, "--seconds", "0.1"]
    done = subprocess.run(
        [BUILD / "examples/serve", tmp_path / "1", tmp_path / "ids.csv", *options],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = np.array(done.stdout.split(), np.float32).reshape(4, 4)
    assert rows.tolist() == [[4, 5, 6, 7], [9] * 4, [8, 9, 10, 11], [4, 5, 6, 7]]
    said = json.loads(done.stderr.splitlines()[-1])
    (device,) = said["tables"]["movie_id"]["devices"]
    assert device["device"] == "/GPU:0" and device["misses"] == 4
    # Each lookup of the table was there, none on the CPU.
    assert device["lookups"] == said["tables"]["movie_id"]["lookups"] > 1
