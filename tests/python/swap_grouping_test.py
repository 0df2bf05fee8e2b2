"""Lookups of functional models in one op."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import two_table_batch, two_table_model

import tf_hps
from tf_hps.layers import HpsEmbeddingGroup


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def group_of(model):
    (group,) = [layer for layer in model.layers if isinstance(layer, HpsEmbeddingGroup)]
    return group


def lookups_in(model, batch):
    graph = tf.function(model).get_concrete_function(batch).graph
    return sorted(op.type for op in graph.get_operations() if op.type.startswith("Hps"))


def test_independent_lookups_are_one_op(store):
    model, batch = two_table_model(), two_table_batch()
    served = tf_hps.swap_embeddings(model, store)
    assert set(group_of(served).layers) == {"user_id", "movie_id"}
    assert lookups_in(served, batch) == ["HpsGroupLookup"]
    apart = tf_hps.swap_embeddings(model, store, group=False)
    assert lookups_in(apart, batch) == ["HpsLookup", "HpsLookup"]
    np.testing.assert_array_equal(served(batch), apart(batch))


def test_a_lookup_that_waits_for_another_one_stays_apart(store):
    ids = keras.Input((2,), dtype="int32")
    first = keras.layers.Embedding(20, 4, name="first")(ids)
    chosen = keras.ops.cast(keras.ops.argmax(first, -1), "int32")
    second = keras.layers.Embedding(4, 4, name="second")(chosen)
    third = keras.layers.Embedding(20, 4, name="third")(ids)
    model = keras.Model(ids, [first + second + third, second])
    batch = np.array([[1, 19], [0, 3]])
    served = tf_hps.swap_embeddings(model, store)
    assert set(group_of(served).layers) == {"first", "third"}
    for found, expected in zip(served(batch), model(batch), strict=True):
        np.testing.assert_array_equal(found, expected)
    restored = tf_hps.restore_embeddings(served)
    assert {
        layer.name for layer in restored.layers if isinstance(layer, keras.layers.Embedding)
    } == {"first", "second", "third"}
    assert not any(isinstance(layer, HpsEmbeddingGroup) for layer in restored.layers)
    np.testing.assert_array_equal(restored(batch)[0], model(batch)[0])


def test_masks_and_a_layer_that_is_called_twice(store):
    ids, others = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    word = keras.layers.Embedding(30, 6, mask_zero=True, name="word")
    lstm = keras.layers.LSTM(5)
    plain = keras.layers.Embedding(30, 5, name="plain")
    outputs = [lstm(word(ids)), lstm(word(others)), plain(others)]
    model = keras.Model([ids, others], outputs)
    batch = [np.array([[1, 2, 0, 0], [3, 4, 5, 0]]), np.array([[0, 7], [29, 0]])]
    served = tf_hps.swap_embeddings(model, store)
    assert set(group_of(served).layers) == {"word", "word/1", "plain"}
    for found, expected in zip(served(batch), model(batch), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_nested_model_has_a_group_of_its_own(store):
    inner = two_table_model()
    inputs = [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in two_table_batch()]
    model = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    served = tf_hps.swap_embeddings(model, store)
    np.testing.assert_array_equal(served(two_table_batch()), model(two_table_batch()))
    assert lookups_in(served, two_table_batch()) == ["HpsGroupLookup"]


def test_one_lookup_needs_no_group(store):
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(9, 2)])
    assert lookups_in(tf_hps.swap_embeddings(model, store), np.array([[1, 2, 3]])) == ["HpsLookup"]


def test_a_keras_file_keeps_the_group(store, tmp_path):
    served = tf_hps.swap_embeddings(two_table_model(), store)
    served.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(two_table_batch()), served(two_table_batch()))


def test_a_group_checks_its_features(store):
    group = group_of(tf_hps.swap_embeddings(two_table_model(), store))
    with pytest.raises(ValueError, match=r"names \['movie_id', 'user_id'\]. Received: \['x'\]"):
        group({"x": np.array([1])})
    with pytest.raises(TypeError, match=r"HpsEmbeddings without a combiner. .*layers\['a'\]"):
        HpsEmbeddingGroup({"a": keras.layers.Embedding(3, 4)})
