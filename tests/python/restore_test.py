"""From tables back to trainable embeddings."""

import keras
import numpy as np
import pytest
from keras_models import Dlrm, dlrm_batch, two_table_batch, two_table_model

import tf_hps


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def test_there_and_back_is_the_same_model(store):
    model, batch = two_table_model(), two_table_batch()
    model.compile("sgd", "mse")
    restored = tf_hps.restore_embeddings(tf_hps.swap_embeddings(model, store))
    np.testing.assert_array_equal(restored(batch), model(batch))
    for name in ("user_id", "movie_id"):
        before, after = model.get_layer(name), restored.get_layer(name)
        assert type(after) is keras.layers.Embedding and after.trainable
        np.testing.assert_array_equal(after.embeddings, before.embeddings)
    rows = np.array(restored.get_layer("movie_id").embeddings)
    restored.fit(batch, np.ones((32, 1)), verbose=0)
    assert (np.array(restored.get_layer("movie_id").embeddings) != rows).any()


def test_names_dtypes_and_masks_come_back(store):
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True, dtype="mixed_float16", name="word"),
        ]
    )
    restored = tf_hps.restore_embeddings(tf_hps.swap_embeddings(model, store))
    layer = restored.layers[0]
    assert (layer.name, layer.mask_zero, layer.dtype_policy.name) == ("word", True, "mixed_float16")
    assert (layer.input_dim, layer.embeddings.dtype) == (9, "float32")
    np.testing.assert_array_equal(layer.embeddings, model.layers[0].embeddings)


def test_subclassed_models_come_back(store):
    model, batch = Dlrm(), dlrm_batch()
    expected = np.array(model(batch))
    served = tf_hps.swap_embeddings(model, store)
    restored = tf_hps.restore_embeddings(served)
    assert type(restored) is Dlrm and restored is not model
    np.testing.assert_array_equal(restored(batch), expected)
    assert len(restored.trainable_weights) == len(model.trainable_weights)
    np.testing.assert_array_equal(served(batch), expected)


def test_live_rows_and_default_rows(store):
    model = keras.Sequential([keras.Input((), dtype="int32"), keras.layers.Embedding(5, 2)])
    rows = np.array(model.layers[0].embeddings)
    served = tf_hps.swap_embeddings(model, store, read_only=False, default_row=[7.0, 8.0])
    table = served.layers[0].table
    table.insert([1], [[5.0, 6.0]])
    table.erase([3])
    rows[1], rows[3] = [5, 6], [7, 8]
    restored = tf_hps.restore_embeddings(served)
    np.testing.assert_array_equal(restored.layers[0].embeddings, rows)


def test_rows_beyond_the_vocabulary(store):
    model = keras.Sequential([keras.Input((), dtype="int32"), keras.layers.Embedding(5, 2)])
    served = tf_hps.swap_embeddings(model, store, read_only=False)
    table = served.layers[0].table
    table.insert([8], [[5.0, 6.0]])
    with pytest.raises(ValueError, match=r"a row under key 8; pass `grow=True`"):
        tf_hps.restore_embeddings(served)
    grown = tf_hps.restore_embeddings(served, grow=True)
    assert grown.layers[0].input_dim == 9
    np.testing.assert_array_equal(grown(np.array([8, 7])), [[5, 6], [0, 0]])
    table.insert([-1], [[1.0, 1.0]])
    with pytest.raises(ValueError, match=r"a row under key -1$"):
        tf_hps.restore_embeddings(served, grow=True)


def test_int8_rows_come_back_as_floats(store):
    model = keras.Sequential([keras.Input((), dtype="int32"), keras.layers.Embedding(5, 4)])
    served = tf_hps.swap_embeddings(model, store, row_format="int8")
    restored = tf_hps.restore_embeddings(served)
    ids = np.arange(5)
    np.testing.assert_array_equal(restored(ids), served(ids))
    np.testing.assert_allclose(restored(ids), model(ids), atol=0.05 / 127)


def test_a_model_without_tables_is_refused():
    with pytest.raises(ValueError, match="no HpsEmbedding to restore"):
        tf_hps.restore_embeddings(two_table_model())
