"""Vocabularies that go, and the rows that are stored under their words."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from rewrite_models import rows, save_v1, signature_answer, v1

import tf_hps
from tf_hps.row_keys import UNKNOWN, stored_keys
from tf_hps.saved_model import rewrite
from tf_hps.store import StoreReader

WORDS = [f"word {i}" for i in range(50)]


def save_model(path):
    """A vocabulary of words, one of numbers with a mask, and one with two rows for unknown words."""
    keras.utils.set_random_seed(1)
    word = keras.Input((), dtype="string", name="word")
    number = keras.Input((2,), dtype="int64", name="number")
    outputs = [
        keras.layers.Embedding(51, 4, name="words")(
            keras.layers.StringLookup(vocabulary=WORDS)(word)
        ),
        keras.layers.Flatten()(
            keras.layers.Embedding(5, 4, name="numbers")(
                keras.layers.IntegerLookup(vocabulary=[10, -20, 30], mask_token=0)(number)
            )
        ),
        keras.layers.Embedding(52, 4, name="hashed")(
            keras.layers.StringLookup(vocabulary=WORDS, num_oov_indices=2)(word)
        ),
        keras.layers.Embedding(52, 4, name="masked")(
            keras.layers.StringLookup(vocabulary=WORDS, mask_token="")(word)
        ),
    ]
    model = keras.Model([word, number], keras.layers.Concatenate()(outputs))
    model.export(str(path), verbose=False)


def test_words_and_numbers_become_keys(tmp_path):
    save_model(tmp_path / "in")
    report = rewrite(
        tmp_path / "in",
        tmp_path / "out",
        store=tmp_path / "store",
        deployment=f"fold-{tmp_path.name}",
        check=False,
        fold_lookups=True,
    )
    assert {table.table: table.keys for table in report.tables} == {
        "words": 50,
        "numbers": 4,  # the mask is a key too
        "hashed": 50,
        "masked": 51,
    }
    inputs = {
        "word": np.array(["word 7", "unknown", "", "word 0", "word 49"], object),
        "number": np.array([[10, 11], [0, -20], [30, 30], [5, 10], [-1, 0]]),
    }
    before = signature_answer(tmp_path / "in", **inputs)
    after = signature_answer(tmp_path / "out", **inputs)
    np.testing.assert_array_equal(before["output_0"], after["output_0"])
    generation = next(t.generation for t in report.tables if t.table == "words")
    config = tf_hps.Config(
        deployment=f"fold-{tmp_path.name}",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store")),
        tables={"words": tf_hps.TableConfig(generation=generation, default_row={"id": UNKNOWN})},
    )
    table = tf_hps.Table("words", config)
    loaded = tf_hps.load(tmp_path / "out")
    arguments = [tf.constant(inputs["word"]), tf.constant(inputs["number"])]
    np.testing.assert_array_equal(before["output_0"], loaded.serve(arguments))
    # A word that came after the export.
    table.insert(stored_keys(np.array([b"unknown"], object)), [[1.0, 2.0, 3.0, 4.0]])
    assert loaded.serve(arguments).numpy()[1, :4].tolist() == [1.0, 2.0, 3.0, 4.0]
    with StoreReader(tmp_path / "store") as reader:
        numbers = reader.record("numbers")
        (keys, _) = next(iter(reader.rows(numbers)))
    assert keys.tolist() == [UNKNOWN, -20, 0, 10, 30]


def test_a_vocabulary_that_nothing_else_asks_leaves_the_graph(tmp_path):
    keras.utils.set_random_seed(1)
    word = keras.Input((), dtype="string", name="word")
    ids = keras.layers.StringLookup(vocabulary=WORDS)(word)
    model = keras.Model(word, keras.layers.Embedding(51, 4, name="words")(ids))
    model.export(str(tmp_path / "in"), verbose=False)
    assert b"word 33" in (tmp_path / "in/saved_model.pb").read_bytes()
    rewrite(tmp_path / "in", tmp_path / "out", fold_lookups=True)
    assert b"word 33" not in (tmp_path / "out/saved_model.pb").read_bytes()
    asked = np.array(["word 33", "", "else"], object)
    loaded = tf_hps.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.serve(asked), model(tf.constant(asked)))
    assert loaded.serve(tf.constant([], tf.string)).shape == (0, 4)


def test_words_of_a_version_1_graph(tmp_path):
    def build():
        words = v1.placeholder(tf.string, [None], name="words")
        filler = tf.lookup.KeyValueTensorInitializer(WORDS, np.arange(50))
        table = tf.lookup.StaticHashTable(filler, 50)
        items = v1.get_variable("items", initializer=rows(51, 4), use_resource=True)
        return {"words": words}, {"found": tf.gather(items, table.lookup(words))}

    save_v1(tmp_path / "in", build)
    report = rewrite(tmp_path / "in", tmp_path / "out", check=False, fold_lookups=True)
    assert report.tables[0].keys == 50
    asked = np.array(["word 1", "none", "word 49"], object)
    before = signature_answer(tmp_path / "in", words=asked)
    after = signature_answer(tmp_path / "out", words=asked)
    np.testing.assert_array_equal(before["found"], after["found"])
    assert b"word 33" not in pathlib.Path(tmp_path / "out/saved_model.pb").read_bytes()


def test_an_unknown_word_that_is_an_error_keeps_its_vocabulary(tmp_path):
    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            filler = tf.lookup.KeyValueTensorInitializer(WORDS, np.arange(50))
            self.ids = tf.lookup.StaticHashTable(filler, -1)
            self.items = tf.Variable(rows(50, 4), name="items")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words):
            return tf.gather(self.items, self.ids.lookup(words))

    tf.saved_model.save(Words(), str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", dry_run=True, fold_lookups=True)
    assert "items: no vocabulary goes: unknown keys are an error" in report.notes


def test_two_keys_that_cannot_be_told_apart_are_named(monkeypatch):
    monkeypatch.setattr(tf, "fingerprint", lambda keys, method: tf.zeros([len(keys), 8], tf.uint8))
    with pytest.raises(ValueError, match="the keys b'one' and b'two' have the same fingerprint"):
        stored_keys(np.array([b"one", b"two"], object))
