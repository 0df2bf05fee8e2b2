"""SavedModels of TensorFlow 2 whose variables become tables without their Python."""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras_models import Dlrm, dlrm_batch, two_table_batch, two_table_model
from rewrite_models import Everything, Partitioned, Tied, rows, signature_answer, words_model

import tf_hps
from tf_hps.saved_model import rewrite
from tf_hps.store import StoreReader

IDS = np.array([3, 8, 59, 0, 3])


def assert_equal_answers(before, after):
    tf.nest.map_structure(np.testing.assert_array_equal, before, after)


def kept_values(saved_model):
    names = tf.train.list_variables(str(pathlib.Path(saved_model) / "variables" / "variables"))
    return {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): shape for name, shape in names}


def test_a_keras_3_export_is_rewritten_checked_and_movable(tmp_path):
    model, batch = two_table_model(), two_table_batch()
    model.export(str(tmp_path / "in"), verbose=False)
    report = rewrite(tmp_path / "in", tmp_path / "out")
    # Keras writes its weights twice; both times they are the same table.
    assert [(t.table, t.rows, t.lookups) for t in report.tables] == [
        ("movie_id", 80, 2),
        ("user_id", 50, 2),
    ]
    assert report.checks[0].detail == "260 rows are equal"
    assert {check.equal for check in report.checks} == {True}
    assert [80, 8] not in kept_values(tmp_path / "out").values()
    assert report.grouped == 2
    shutil.move(tmp_path / "out", tmp_path / "moved")
    inputs = dict(zip(("user", "movie"), batch, strict=True))
    before = signature_answer(tmp_path / "in", **inputs)
    assert_equal_answers(before, signature_answer(tmp_path / "moved", **inputs))
    loaded = tf_hps.load(tmp_path / "moved")
    np.testing.assert_array_equal(loaded.serve(batch), model(batch))
    # Keras lets negative ids count from the end, in the graph: as before.
    ends = [np.array([-1], np.int32), np.array([-2])]
    np.testing.assert_array_equal(loaded.serve(ends), model(ends))
    with pytest.raises(tf.errors.InvalidArgumentError, match="50 is not in"):
        loaded.serve([np.array([50], np.int32), np.array([0])])
    config = json.loads((tmp_path / "moved/assets/hps.json").read_text())
    assert config["rocksdb"] == {"path": "../assets.extra/hps", "read_only": True}


def test_every_shape_of_graph(tmp_path):
    module = Everything()
    tf.saved_model.save(module, str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False)
    assert {t.table: t.rows for t in report.tables} == {"items": 100, "wide": 60}
    assert [kept.variable for kept in report.kept] == ["weights"]
    for ids in (IDS, IDS[:2]):
        expected = {name: np.array(value) for name, value in module(ids).items()}
        loaded = tf_hps.load(tmp_path / "out")
        assert_equal_answers(expected, {k: np.array(v) for k, v in loaded(ids).items()})
        assert_equal_answers(expected, signature_answer(tmp_path / "out", ids=ids))
    for bad in ([-1], [100]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            loaded(np.array(bad))
    assert list(kept_values(tmp_path / "out")) == ["_CHECKPOINTABLE_OBJECT_GRAPH", "weights"]
    assert loaded.weights.shape == (4, 3)


def test_a_subclassed_keras_model_saved_by_tensorflow(tmp_path):
    model, batch = Dlrm(), dlrm_batch()
    expected = np.array(model(batch))
    tf.saved_model.save(model, str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False)
    assert sorted(t.rows for t in report.tables) == [10, 15, 20, 30, 40]
    loaded = tf_hps.load(tmp_path / "out")
    dense, ids = (tf.constant(batch[name], tf.float32) for name in ("dense", "ids"))
    answer = loaded.signatures["serving_default"](inputs=dense, inputs_1=ids)
    np.testing.assert_array_equal(next(iter(answer.values())), expected)


def test_tied_weights_and_small_tables_stay(tmp_path):
    module = Tied()
    tf.saved_model.save(module, str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", tmp_path / "out", min_rows=10, check=False)
    assert [t.table for t in report.tables] == ["users"]
    why = {kept.variable: kept.why for kept in report.left}
    assert why["candidates"].startswith("also used by MatMul (")
    assert why["tiny"] == "fewer than min_rows=10 rows"
    assert report.kept[0].variable == "candidates" and report.kept[0].bytes == 70 * 4 * 4
    assert "candidates [70, 4]: also used by MatMul" in str(report)
    assert json.loads(report.to_json())["tables"][0]["rows"] == 50
    loaded = tf_hps.load(tmp_path / "out")
    assert_equal_answers(
        {k: np.array(v) for k, v in module(IDS % 50).items()},
        {k: np.array(v) for k, v in loaded(IDS % 50).items()},
    )


def test_what_xla_compiles_stays(tmp_path):
    module = tf.Module()
    module.items = tf.Variable(rows(20, 2), name="items")
    module.find = tf.function(
        lambda ids: tf.gather(module.items, ids),
        input_signature=[tf.TensorSpec([None], tf.int32)],
        jit_compile=True,
    )
    tf.saved_model.save(module, str(tmp_path / "in"), signatures=module.find)
    report = rewrite(tmp_path / "in", dry_run=True)
    assert report.tables == () and "XLA compiles" in report.kept[0].why


def test_parts_of_a_variable_become_one_table(tmp_path):
    module = Partitioned()
    tf.saved_model.save(module, str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False)
    assert {(t.table, t.rows, t.lookups) for t in report.tables} == {
        ("by_turns", 100, 1),
        ("in_line", 100, 1),
    }
    ids = np.arange(100)
    loaded = tf_hps.load(tmp_path / "out")
    expected = {name: np.array(value) for name, value in module(ids).items()}
    assert_equal_answers(expected, {k: np.array(v) for k, v in loaded(ids).items()})
    with StoreReader(tmp_path / "out/assets.extra/hps") as reader:
        stored = dict.fromkeys(("by_turns", "in_line"))
        for name in stored:
            found, _ = reader.get(reader.record(name), ids)
            stored[name] = found.view(np.float32)
    assert_equal_answers(expected, stored)


def test_tf_keras_with_an_optimizer_assets_and_warmup_requests(tmp_path):
    ids = tf_keras.Input((), dtype="int32", name="ids")
    found = tf_keras.layers.Embedding(50, 8, name="user_id")(ids)
    model = tf_keras.Model(ids, tf_keras.layers.Dense(1)(found))
    model.compile("adam", "mse")
    model.fit(np.arange(50), np.ones(50), verbose=0)
    model.save(tmp_path / "in", save_format="tf")
    extra = tmp_path / "in/assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"records")
    before = signature_answer(tmp_path / "in", ids=np.arange(50, dtype=np.int32))
    with_state = rewrite(tmp_path / "in", tmp_path / "out-1", check=False)
    assert any("--drop_unread" in note for note in with_state.notes)
    report = rewrite(tmp_path / "in", tmp_path / "out-2", check=False, drop_unread=True)
    assert report.bytes_after < with_state.bytes_after
    for out in ("out-1", "out-2"):
        answer = signature_answer(tmp_path / out, ids=np.arange(50, dtype=np.int32))
        assert_equal_answers(before, answer)
        tf_hps.load(tmp_path / out)
        saved = tmp_path / out / "assets.extra/tf_serving_warmup_requests"
        assert saved.read_bytes() == b"records"
        assert not (tmp_path / out / "fingerprint.pb").exists()
    assert [name for name in kept_values(tmp_path / "out-2") if "Adam" in name] == []


def test_vocabularies_stay_in_front_of_their_tables(tmp_path):
    words = ["red", "green", "blue"]
    model = words_model(words)
    model.export(str(tmp_path / "in"), verbose=False)
    rewrite(tmp_path / "in", tmp_path / "out", check=False)
    asked = np.array(["green", "", "unknown", "blue"], object)
    loaded = tf_hps.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.serve(asked), model(tf.constant(asked)))


def test_mixed_precision_and_half_rows(tmp_path):
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="int32", name="ids"),
            keras.layers.Embedding(30, 4, dtype=policy, name="mixed"),
            keras.layers.Dense(2, dtype=policy),
        ]
    )
    model.export(str(tmp_path / "in"), verbose=False)
    rewrite(tmp_path / "in", tmp_path / "out", check=False)
    ids = np.array([[1, 29], [0, 3]], np.int32)
    before = signature_answer(tmp_path / "in", ids=ids)
    assert_equal_answers(before, signature_answer(tmp_path / "out", ids=ids))


def test_a_shared_store_and_another_meaning_of_unknown_ids(tmp_path):
    module = Tied()
    tf.saved_model.save(module, str(tmp_path / "in"))
    arguments = {"store": tmp_path / "store", "deployment": "shared", "check": False}
    for out in ("1", "2"):
        report = rewrite(tmp_path / "in", tmp_path / out, out_of_range="default_row", **arguments)
    assert report.store == str(tmp_path / "store") and not (tmp_path / "2/assets.extra").exists()
    assert any("get the default row now" in note for note in report.notes)
    with StoreReader(tmp_path / "store") as reader:
        assert {record.name for record in reader.tables()} == {"users", "tiny"}
    loaded = tf_hps.load(tmp_path / "2")
    assert loaded(np.array([99]))["scores"].shape == (1, 3)


def test_a_dry_run_writes_nothing(tmp_path):
    tf.saved_model.save(Everything(), str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", dry_run=True)
    assert os.listdir(tmp_path) == ["in"]
    assert report.bytes_before == 4 * (100 * 4 + 60 * 6 + 4 * 3) and report.bytes_after == 4 * 12
    assert sum(table.bytes for table in report.tables) == 4 * (100 * 4 + 60 * 6)
    assert str(report).count("\n") > 5
