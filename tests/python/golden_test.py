"""What earlier versions wrote, read by this one (docs/compatibility.md)."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tf_hps
from tf_hps.publish.frame import Frame
from tf_hps.store import StoreReader

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
INPUTS = {
    "movies": np.array([0, 7, 7, 49, 1000, -3], np.int64),
    "users": np.array([2, 49, 12], np.int32),
}


@pytest.fixture(params=VERSIONS)
def golden(request, tmp_path):
    return pathlib.Path(shutil.copytree(GOLDEN / request.param, tmp_path / "golden"))


def table_of(golden, name, tmp_path):
    """Over the store of the SavedModel, following the stream."""
    written = json.loads((golden / "saved_model/assets/hps.json").read_text())
    config = tf_hps.Config(
        deployment="golden",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(
            str(golden / "saved_model/assets.extra/hps"),
            read_only=True,
            state_dir=str(tmp_path / "state"),
        ),
        updates=tf_hps.UpdatesConfig(url=str(golden / "stream")),
        tables={name: tf_hps.TableConfig(generation=written["tables"][name]["generation"])},
    )
    return tf_hps.Table(name, config)


def test_a_saved_model_answers_as_it_did(golden):
    loaded = tf_hps.load(str(golden / "saved_model"))
    inputs = {name: tf.constant(value) for name, value in INPUTS.items()}
    answers = loaded.signatures["serving_default"](**inputs)
    expected = json.loads((golden / "expected.json").read_text())
    assert answers.keys() == expected.keys()
    for name, rows in expected.items():
        np.testing.assert_array_equal(answers[name], np.array(rows, np.float32), name)


def test_a_store_is_read_without_the_op_library(golden):
    with StoreReader(golden / "saved_model/assets.extra/hps") as reader:
        formats = {record.name: record.row_format for record in reader.tables()}
        assert formats == {"movies": "float32", "users": "float16"}
        keys, rows = next(reader.rows(reader.record("movies")))
    assert keys.tolist() == list(range(50))
    expected = json.loads((golden / "expected.json").read_text())
    np.testing.assert_array_equal(rows.view(np.float32)[7], np.float32(expected["row"][1]))


def test_a_delta_is_read_over_its_base(golden):
    path = golden / "delta_store"
    with StoreReader(path) as reader:
        base, delta = reader.tables()
        assert delta.base == base.generation and delta.rows == 50
        keys, before = next(reader.rows(base))
        stored, found = reader.get(delta, np.array([5, 7, 60, 0]))
    assert keys.tolist() == list(range(50)) and found.tolist() == [True, False, True, True]
    config = tf_hps.Config(
        deployment="golden",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(str(path), read_only=True),
        tables={"movies": tf_hps.TableConfig(generation=delta.generation)},
    )
    answers = tf_hps.embedding_lookup(tf_hps.Table("movies", config), [5, 7, 60, 0]).numpy()
    expected = [[9] * 4, [0] * 4, [9] * 4, before.view(np.float32)[0]]
    np.testing.assert_array_equal(answers, expected)
    np.testing.assert_array_equal(stored.view(np.float32), expected)


def test_commits_are_applied(golden, tmp_path):
    movies = table_of(golden, "movies", tmp_path)
    movies.wait_until("00000000000000000001.hpsu")
    rows = tf_hps.embedding_lookup(movies, [0, 7, 1000]).numpy()
    np.testing.assert_array_equal(rows, [[0] * 4, [9] * 4, [9] * 4])
    assert movies.stats()["updates"]["gaps"] == 0


def test_readers_pass_over_what_later_publishers_add(golden, tmp_path):
    movies = table_of(golden, "movies", tmp_path)
    frames = []
    about = {"deployment": "golden", "publisher": "f" * 32, "time_us": 1, "from_the_future": [1]}
    row = {"table": "movies", "generation": movies.generation, "rows": 1, "embedding_dim": 4}
    frames.append(
        Frame(
            {"kind": "rows", "sequence": 0, "row_format": "float32", **row, **about},
            np.array([8]),
            np.full((1, 4), 5, np.float32),
        )
    )
    end = {"kind": "commit", "sequence": 1, "frames": 1, "commit": 0, **about}
    frames.append(Frame(end, np.empty(0, np.int64)))
    segment = golden / "stream/00000000000000000002.hpsu"
    segment.write_bytes(b"".join(frame.to_bytes() for frame in frames))
    movies.wait_until(segment.name)
    np.testing.assert_array_equal(tf_hps.embedding_lookup(movies, [8]), [[5] * 4])


def test_this_version_is_among_them():
    assert tf_hps.__version__ in VERSIONS, "tests/golden/make.py writes it"
