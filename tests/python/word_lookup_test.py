"""Lookups of rows under the keys of strings."""

import numpy as np
import pytest
import tensorflow as tf
from tables import filled_table, memory_config, rows_of

import tf_hps

WORDS = ("heat", "", "amélie", "a" * 1000, "nul\0inside")


@pytest.fixture(scope="module")
def by_word():
    table = tf_hps.Table("title", memory_config("title", embedding_dim=2))
    table.insert(tf_hps.word_keys(WORDS), rows_of_words(range(5)))
    return table


def rows_of_words(numbers):
    """Of words by their places; 9 is that of words that nobody knows."""
    return np.array([[0.0, 0.0] if i == 9 else [i + 1, -i] for i in numbers], np.float32)


def test_words_of_any_shape(by_word):
    look_up = tf.function(
        lambda words: tf_hps.embedding_lookup(by_word, words),
        input_signature=[tf.TensorSpec(None, tf.string)],
    )
    for words, numbers in (
        ("heat", 0),
        ([], []),
        ([WORDS[::-1], ["alien"] * 5], [[4, 3, 2, 1, 0], [9] * 5]),
    ):
        expected = rows_of_words(np.ravel(numbers)).reshape(*np.shape(words), 2)
        found = look_up(tf.constant(words, tf.string))
        np.testing.assert_array_equal(found, expected)


def test_the_op_takes_words(by_word):
    rows = tf_hps.ops.lookup(by_word.resource_handle, tf.constant(["amélie"]), 2)
    np.testing.assert_array_equal(rows, rows_of_words([2]))


def test_words_beside_numbers_in_a_group(by_word):
    by_number = filled_table(range(5))
    ids = {
        "ragged": tf.ragged.constant([["heat"], [], ["", "alien"]]),
        "number": tf.constant([3, 4]),
        "word": tf.constant([["amélie"]]),
    }
    tables = {"ragged": by_word, "number": by_number, "word": by_word}
    look_up = tf.function(lambda ids: tf_hps.embedding_lookup_group(tables, ids))
    found = look_up(ids)
    np.testing.assert_array_equal(found["number"], rows_of([3, 4]))
    np.testing.assert_array_equal(found["word"], [rows_of_words([2])])
    np.testing.assert_array_equal(found["ragged"].flat_values, rows_of_words([0, 1, 9]))
    graph = look_up.get_concrete_function(ids).graph
    groups = [op for op in graph.get_operations() if op.type == "HpsGroupLookup"]
    kinds = [{tensor.dtype for tensor in op.inputs[len(op.inputs) // 2 :]} for op in groups]
    assert kinds == [{tf.string}, {tf.int32}]


def test_bags_of_words(by_word):
    bags = tf.ragged.constant([["heat", ""], [], ["alien", "amélie"]])
    for given in (bags, bags.to_sparse()):
        found = tf_hps.embedding_lookup_sparse(by_word, given, None, combiner="sum")
        np.testing.assert_array_equal(found, [[3, -1], [0, 0], [3, -2]])


def test_words_until_a_deadline(by_word):
    found, degraded = tf_hps.embedding_lookup_until_deadline(by_word, tf.constant(["", "x"]))
    np.testing.assert_array_equal(found, rows_of_words([1, 9]))
    assert not degraded.numpy().any()
