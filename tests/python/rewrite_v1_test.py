"""SavedModels of TensorFlow 1 whose variables become tables."""

import numpy as np
import pytest
import tensorflow as tf
from rewrite_models import example, save_v1, signature_answer, v1_feature_columns, v1_lookup

import tf_hps
from tf_hps.saved_model import rewrite


@pytest.mark.parametrize("use_resource", [True, False], ids=["resource", "ref"])
@pytest.mark.parametrize("parts", [None, 3], ids=["whole", "parts"])
def test_a_trained_graph(tmp_path, use_resource, parts):
    save_v1(tmp_path / "in", v1_lookup(use_resource, parts))
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False, drop_unread=True)
    assert [(t.table, t.rows, t.lookups) for t in report.tables] == [("model/items", 40, 1)]
    assert report.bytes_after == 0 and report.kept == ()
    ids = np.arange(40)
    before = signature_answer(tmp_path / "in", ids=ids)
    np.testing.assert_array_equal(
        before["found"], signature_answer(tmp_path / "out", ids=ids)["found"]
    )
    for bad in ([-1], [40]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            signature_answer(tmp_path / "out", ids=np.array(bad))
    loaded = tf_hps.load(tmp_path / "out")
    answer = loaded.signatures["serving_default"](tf.constant(ids))
    np.testing.assert_array_equal(answer["found"], before["found"])


def test_an_optimizers_state_stays_unless_it_is_to_go(tmp_path):
    save_v1(tmp_path / "in", v1_lookup(True))
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False)
    kept = {kept.variable for kept in report.kept}
    assert {"model/items/Adam", "model/items/Adam_1"} <= kept
    assert signature_answer(tmp_path / "out", ids=np.array([39]))["found"].shape == (1, 4)


def test_feature_columns_of_an_estimator(tmp_path):
    (tmp_path / "words.txt").write_text("red\ngreen\nblue\n")
    save_v1(tmp_path / "in", v1_feature_columns(tmp_path / "words.txt"))
    (tmp_path / "words.txt").unlink()
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False)
    assert sorted((t.rows, t.embedding_dim) for t in report.tables) == [(5, 4), (50, 8), (90, 4)]
    asked = [
        example(49, b"blue", b"Rome", 3.0),
        example(0, b"unknown", b"", 1.5),
        tf.train.Example(
            features=tf.train.Features(
                feature={"age": tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))}
            )
        ).SerializeToString(),
    ]
    before = signature_answer(tmp_path / "in", examples=asked)
    after = signature_answer(tmp_path / "out", examples=asked)
    np.testing.assert_array_equal(before["rating"], after["rating"])
