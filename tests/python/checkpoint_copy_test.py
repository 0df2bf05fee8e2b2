"""Checkpoints without some of their variables, as TensorFlow reads them."""

import numpy as np
import pytest
import tensorflow as tf

from tf_hps.store.checkpoint_copy import copy_checkpoint, read_string
from tf_hps.store.crc32c import crc32c
from tf_hps.store.leveldb_table import read_table
from tf_hps.store.leveldb_table_writer import write_table

NAMES = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_table_is_read_as_it_was_written(count):
    entries = {b"key %d" % i: b"v" * i for i in range(count)}
    assert dict(read_table(write_table(entries))) == entries


def test_what_is_kept_is_read_by_tensorflow_with_its_checksums(tmp_path):
    random = np.random.default_rng(1)
    values = {
        "big": random.normal(size=(300, 8)).astype(np.float32),
        "kept": random.normal(size=(7, 3)).astype(np.float32),
        "number": np.int64(7),
        "word": np.array(["a", "", "long " * 40], object),
    }
    checkpoint = tf.train.Checkpoint(**{k: tf.Variable(v) for k, v in values.items()})
    source = checkpoint.write(str(tmp_path / "in"))
    text = read_string(source, NAMES)
    assert b"VARIABLE_VALUE" in text
    copy_checkpoint(source, str(tmp_path / "out"), {"big" + VALUE}, {NAMES: text[::-1] * 300})
    reader = tf.train.load_checkpoint(str(tmp_path / "out"))
    assert sorted(reader.get_variable_to_shape_map()) == [
        NAMES,
        *(name + VALUE for name in ("kept", "number", "word")),
    ]
    assert reader.get_tensor(NAMES) == text[::-1] * 300
    np.testing.assert_array_equal(reader.get_tensor("kept" + VALUE), values["kept"])
    assert reader.get_tensor("number" + VALUE) == 7
    assert reader.get_tensor("word" + VALUE).tolist() == [b"a", b"", b"long " * 40]
    assert read_string(str(tmp_path / "out"), NAMES) == text[::-1] * 300
    assert read_string(source, "none") is None


def test_a_sliced_variable_goes_with_all_its_slices(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("", partitioner=v1.fixed_size_partitioner(3)):
            v1.get_variable("sliced", [10, 2])
        v1.get_variable("whole", initializer=tf.ones([2]))
        session.run(v1.global_variables_initializer())
        source = v1.train.Saver().save(session, str(tmp_path / "in"))
    copy_checkpoint(source, str(tmp_path / "out"), {"sliced"}, {})
    assert tf.train.list_variables(str(tmp_path / "out")) == [("whole", [2])]
    index = (tmp_path / "out.index").read_bytes()
    assert [key for key, _ in read_table(index)] == [b"", b"whole"]
