"""HpsEmbedding in every kind of Keras model."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_hps
from tf_hps.layers import HpsEmbedding

ROWS = np.arange(20, dtype=np.float32).reshape(10, 2) + 1


@pytest.fixture
def config(tmp_path):
    store = str(tmp_path / "store")
    with tf_hps.store.StoreWriter(store) as writer:
        writer.write_table("movie_id", tf_hps.store.from_arrays(ROWS))
    return tf_hps.Config(
        rocksdb=tf_hps.RocksdbConfig(path=store, read_only=True),
        tables={"movie_id": tf_hps.TableConfig()},
    )


def make_layer(config, **kwargs):
    return HpsEmbedding(config=config, table_name="movie_id", **kwargs)


@pytest.fixture
def layer(config):
    return make_layer(config)


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "uint16", "float32"])
def test_ids_of_any_shape_and_number_type(layer, dtype):
    for ids in (3, [], [1, 2], [[1], [9]], np.zeros((0, 4))):
        ids = np.asarray(ids, dtype)
        rows = layer(ids)
        np.testing.assert_array_equal(rows, ROWS[ids.astype(int)])
        assert rows.dtype == "float32"


def test_ids_that_are_neither_numbers_nor_words_are_refused(layer):
    with pytest.raises(TypeError, match=r"are integers .*strings"):
        layer(tf.constant([True]))


def test_unknown_ids_get_the_default_row(layer):
    ids = np.array([-(2**63), -1, 10, 2**40, 2**63 - 1])
    np.testing.assert_array_equal(layer(ids), np.zeros((5, 2)))


def test_ragged_and_sparse_ids(layer):
    ragged = tf.ragged.constant([[1, 2], [], [3]])
    rows = layer(ragged)
    assert rows.to_list() == [ROWS[[1, 2]].tolist(), [], ROWS[[3]].tolist()]
    sparse = tf.sparse.from_dense([[1, 2], [3, 0]])
    np.testing.assert_array_equal(layer(sparse), ROWS[[[1, 2], [3, 0]]])


def expected_pool(ids, weights, combiner):
    total = sum((w * ROWS[i] for i, w in zip(ids, weights, strict=True)), np.zeros(2))
    by = {"sum": 1, "mean": sum(weights), "sqrtn": np.sqrt(sum(w * w for w in weights))}[combiner]
    return total / by if by else total


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("weighted", [False, True])
def test_pooled_ids(config, combiner, weighted):
    layer = make_layer(config, combiner=combiner)
    bags, weights = [[1, 2], [3, 4]], [[1.0, 2.0], [0.5, 0.0]]
    wanted = [
        expected_pool(bag, w if weighted else [1.0, 1.0], combiner)
        for bag, w in zip(bags, weights, strict=True)
    ]
    args = {"weights": tf.constant(weights)} if weighted else {}
    np.testing.assert_allclose(layer(tf.constant(bags), **args), wanted, rtol=1e-6)

    bags, weights = [[1, 2], [], [3]], [[1.0, 2.0], [], [0.5]]
    wanted = [
        expected_pool(bag, w if weighted else [1.0] * len(bag), combiner)
        for bag, w in zip(bags, weights, strict=True)
    ]
    ragged, ragged_weights = tf.ragged.constant(bags), tf.ragged.constant(weights)
    args = {"weights": ragged_weights} if weighted else {}
    np.testing.assert_allclose(layer(ragged, **args), wanted, rtol=1e-6)
    args = {"weights": ragged_weights.to_sparse()} if weighted else {}
    np.testing.assert_allclose(layer(ragged.to_sparse(), **args), wanted, rtol=1e-6)


def test_pooling_leaves_padding_out(config):
    layer = make_layer(config, combiner="mean", mask_zero=True)
    ids = tf.constant([[1, 3, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(layer(ids), [(ROWS[1] + ROWS[3]) / 2, [0, 0]])
    assert layer.compute_mask(ids) is None


def test_nested_ragged_ids_are_pooled_over_the_last_axis(config):
    layer = make_layer(config, combiner="sum")
    pooled = layer(tf.ragged.constant([[[1, 2], []], [[3]]]))
    assert pooled.to_list() == [[(ROWS[1] + ROWS[2]).tolist(), [0, 0]], [ROWS[3].tolist()]]


def test_weights_of_another_shape_are_refused(config):
    layer = make_layer(config, combiner="sum")
    with pytest.raises(ValueError):
        layer(tf.constant([[1, 2]]), weights=tf.constant([[1.0, 2.0, 3.0]]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="one weight for each"):
        layer(tf.ragged.constant([[1, 2]]), weights=tf.ragged.constant([[1.0], [2.0]]))
    with pytest.raises(ValueError, match="need a combiner"):
        make_layer(config)(tf.constant([[1]]), weights=tf.constant([[1.0]]))


def test_masks_as_embedding(config):
    layer = make_layer(config, mask_zero=True)
    ids = tf.constant([[1, 0], [0, 0]])
    np.testing.assert_array_equal(layer.compute_mask(ids), [[True, False], [False, False]])
    assert make_layer(config).compute_mask(ids) is None
    assert layer.supports_masking and not make_layer(config).supports_masking


def test_shapes_without_a_call(config):
    assert make_layer(config).compute_output_shape((None, 3)) == (None, 3, 2)
    assert make_layer(config, combiner="sum").compute_output_shape((None, 3)) == (None, 2)
    symbolic = make_layer(config)(keras.Input((3,), dtype="int64"))
    assert symbolic.shape == (None, 3, 2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_output_dtype_is_the_compute_dtype(config, policy):
    layer = make_layer(config, dtype=policy)
    rows = layer(np.array([1, 9]))
    assert rows.dtype == layer.compute_dtype == policy.replace("mixed_", "")
    np.testing.assert_array_equal(rows, ROWS[[1, 9]])


def test_no_weights_and_no_gradient(layer):
    assert layer.weights == [] and layer.count_params() == 0
    assert not layer.trainable and not layer.supports_jit


def test_config_round_trip(config):
    layer = make_layer(config, mask_zero=True, combiner="mean", name="rows", dtype="mixed_float16")
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == layer.get_config()
    assert (again.name, again.mask_zero, again.combiner) == ("rows", True, "mean")
    assert again.table.generation == layer.table.generation
    ids = np.array([[1, 2]])
    np.testing.assert_array_equal(again(ids), layer(ids))


def test_arguments_are_checked(config):
    with pytest.raises(ValueError, match="`combiner` is None or one of"):
        make_layer(config, combiner="max")
    with pytest.raises(ValueError, match="Give a `table`, or `config` and `table_name`"):
        HpsEmbedding(config=config)
    with pytest.raises(ValueError, match="Give a `table`, or `config` and `table_name`"):
        HpsEmbedding(make_layer(config).table, config=config, table_name="movie_id")
    with pytest.raises(AttributeError, match="live in table 'movie_id'"):
        make_layer(config).embeddings  # noqa: B018


class Subclassed(keras.Model):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows
        self.dense = keras.layers.Dense(1)

    def call(self, ids):
        return self.dense(self.rows(ids))


@pytest.mark.parametrize("kind", ["sequential", "functional", "subclassed"])
def test_trains_in_every_kind_of_model(layer, kind):
    ids = keras.Input((3,), dtype="int64")
    model = {
        "sequential": lambda: keras.Sequential([layer, keras.layers.Dense(1)]),
        "functional": lambda: keras.Model(ids, keras.layers.Dense(1)(layer(ids))),
        "subclassed": lambda: Subclassed(layer),
    }[kind]()
    model.compile(keras.optimizers.SGD(0.001), "mse")
    batch, targets = np.array([[1, 2, 3], [4, 5, 10]]), np.ones((2, 3, 1))
    losses = model.fit(batch, targets, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.predict(batch, verbose=0).shape == (2, 3, 1)
    assert model.jit_compile is False


def test_a_layer_made_while_a_function_is_traced(config):
    made = []

    @tf.function
    def lookup(ids):
        if not made:
            made.append(make_layer(config))
        return made[0](ids)

    np.testing.assert_array_equal(lookup(tf.constant([1, 2])), ROWS[[1, 2]])
    np.testing.assert_array_equal(made[0](tf.constant([9])), ROWS[[9]])


def test_a_saved_keras_file_finds_its_table(config, layer, tmp_path):
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer, keras.layers.Dense(1)])
    path = str(tmp_path / "model.keras")
    model.save(path)
    again = keras.saving.load_model(path)
    batch = np.array([[1, 2]])
    np.testing.assert_array_equal(again(batch), model(batch))
