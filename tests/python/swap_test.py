"""Functional and Sequential models with their embeddings in tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import assert_same_values, two_table_batch, two_table_model, values

import tf_hps
from tf_hps.layers import HpsEmbedding


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def embeddings(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]


def swapped(model, store, **kwargs):
    """Swaps all embeddings; checks what holds for every swap."""
    before = values(model)
    trainable = [weight.path for weight in model.trainable_weights]
    served, report = tf_hps.swap_embeddings(model, store, return_report=True, **kwargs)
    assert_same_values(before, values(model))
    assert [weight.path for weight in model.trainable_weights] == trainable
    assert served is not model
    assert tf_hps.swap_report(served) is report
    return served, report


def test_predictions_stay_equal_bit_for_bit(store):
    model, batch = two_table_model(), two_table_batch()
    served, report = swapped(model, store)
    np.testing.assert_array_equal(served.predict(batch, verbose=0), model.predict(batch, verbose=0))
    assert [(e.table, e.rows, e.embedding_dim, e.bytes) for e in report.moved] == [
        ("user_id", 50, 8, 50 * 32),
        ("movie_id", 80, 8, 80 * 32),
    ]
    assert embeddings(served) == []
    assert {weight.path for weight in served.weights} < {weight.path for weight in model.weights}


def test_other_layers_are_the_same_objects(store):
    model = two_table_model()
    served, _ = swapped(model, store)
    assert served.get_layer("hidden") is model.get_layer("hidden")
    apart, _ = swapped(model, store, group=False)
    assert [layer.name for layer in apart.layers] == [layer.name for layer in model.layers]
    assert [tensor.name for tensor in served.inputs] == ["user", "movie"]


def test_sequential_with_mask_and_recurrent_layer(store):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(30, 6, mask_zero=True, name="word"),
            keras.layers.LSTM(5),
            keras.layers.Dense(2),
        ]
    )
    batch = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [29, 0, 0, 0]])
    served, _ = swapped(model, store)
    assert isinstance(served, keras.Sequential)
    np.testing.assert_array_equal(served(batch), model(batch))
    np.testing.assert_array_equal(served.layers[0].compute_mask(batch), batch != 0)


def test_sequential_without_an_input_layer(store):
    model = keras.Sequential([keras.layers.Embedding(30, 6), keras.layers.Flatten()])
    batch = np.array([[1, 2], [3, 29]])
    model(batch)
    served, _ = swapped(model, store)
    np.testing.assert_array_equal(served(batch), model(batch))


def test_nested_models_and_a_shared_layer(store):
    shared = keras.layers.Embedding(40, 4, name="shared")
    inner_input = keras.Input((3,), dtype="int32")
    inner = keras.Model(inner_input, keras.layers.Dense(4)(shared(inner_input)), name="inner")
    plain = keras.Sequential([keras.Input((3, 4)), keras.layers.Dense(4)], name="plain")
    tower = keras.Sequential(
        [keras.Input((3,), dtype="int32"), keras.layers.Embedding(40, 4, name="own"), plain],
        name="tower",
    )
    ids = keras.Input((3,), dtype="int32")
    output = keras.layers.Add()([inner(ids), shared(ids), tower(ids), inner(ids)])
    model = keras.Model(ids, keras.ops.mean(output, axis=1))
    batch = np.random.default_rng(0).integers(0, 40, (8, 3))
    served, report = swapped(model, store)
    np.testing.assert_array_equal(served(batch), model(batch))
    assert sorted(e.table for e in report.moved) == ["shared", "tower/own"]
    assert sum(isinstance(layer, HpsEmbedding) for layer in served._flatten_layers()) == 2
    assert served.get_layer("tower").get_layer("plain") is plain


def test_two_models_that_share_an_embedding_share_its_table(store):
    shared = keras.layers.Embedding(40, 4, name="shared")
    models = [
        keras.Sequential([keras.Input((2,), dtype="int32"), shared, keras.layers.Dense(units)])
        for units in (1, 2)
    ]
    first, second = (swapped(model, store)[1].moved[0] for model in models)
    assert (first.table, first.generation) == (second.table, second.generation)


def test_swapping_the_same_rows_twice_writes_them_once(store):
    model = two_table_model()
    generations = [[e.generation for e in swapped(model, store)[1].moved] for _ in range(2)]
    assert generations[0] == generations[1]
    with tf_hps.store.StoreReader(store) as reader:
        assert len(reader.tables()) == 2


def test_another_content_is_another_generation(store):
    models = [two_table_model(seed) for seed in (1, 2)]
    batch = two_table_batch()
    served = [swapped(model, store)[0] for model in models]
    for model, swap in zip(models, served, strict=True):
        np.testing.assert_array_equal(swap(batch), model(batch))
    reports = [tf_hps.swap_report(swap) for swap in served]
    assert [e.table for e in reports[0].moved] == [e.table for e in reports[1].moved]
    assert not {e.generation for e in reports[0].moved} & {e.generation for e in reports[1].moved}


def test_small_tables_stay_below_min_rows(store):
    model, batch = two_table_model(), two_table_batch()
    served, report = swapped(model, store, min_rows=60)
    np.testing.assert_array_equal(served(batch), model(batch))
    assert [e.table for e in report.moved] == ["movie_id"]
    assert [(e.layer, e.why, e.bytes) for e in report.stayed] == [
        ("user_id", "fewer than min_rows=60 rows", 50 * 32)
    ]
    assert "user_id" in str(report) and "(stays)" in str(report)
    assert "1 of 2 embeddings moved" in str(report)


def test_layers_of_one_name_get_tables_of_their_own(store):
    towers = []
    for tower in ("a", "b"):
        ids = keras.Input((), dtype="int32")
        towers.append(keras.Model(ids, keras.layers.Embedding(9, 3, name="emb>")(ids), name=tower))
    ids = keras.Input((), dtype="int32")
    model = keras.Model(ids, [tower(ids) for tower in towers])
    served, report = swapped(model, store)
    assert sorted(e.table for e in report.moved) == ["emb_", "emb_-2"]
    for before, after in zip(model(np.arange(9)), served(np.arange(9)), strict=True):
        np.testing.assert_array_equal(before, after)


class TiedLogits(keras.layers.Layer):
    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding

    def call(self, inputs):
        return keras.ops.matmul(inputs, keras.ops.transpose(self.embedding.embeddings))


def test_tied_and_reversible_embeddings_stay(store):
    ids = keras.Input((3,), dtype="int32")
    tied = keras.layers.Embedding(12, 4, name="tied")
    reversible = keras.layers.ReversibleEmbedding(12, 4, name="reversible")
    moved = keras.layers.Embedding(12, 4, name="moved")
    logits = TiedLogits(tied)(tied(ids))
    back = reversible(reversible(ids), reverse=True)
    model = keras.Model(ids, [logits, back, moved(ids)])
    batch = np.array([[1, 2, 11]])
    served, report = swapped(model, store)
    for before, after in zip(model(batch), served(batch), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [e.table for e in report.moved] == ["moved"]
    reasons = {e.layer: e.why for e in report.stayed}
    assert reasons == {
        "tied": "`embeddings` is read outside of its call",
        "reversible": "a ReversibleEmbedding: its rows are read in reverse too",
    }


def test_an_embedding_inside_a_lambda_stays(store):
    held = keras.layers.Embedding(12, 4, name="held")
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(ids, held(ids) + keras.layers.Lambda(lambda x: held(x))(ids))
    served, report = tf_hps.swap_embeddings(model, store, return_report=True)
    assert served is model
    assert report.stayed[0].why.startswith("the function `function` of `lambda")


class Doubled(keras.layers.Embedding):
    def call(self, inputs):
        return 2 * super().call(inputs)


def test_a_subclass_with_its_own_call_and_float64_rows_stay(store):
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(
        ids,
        [
            Doubled(12, 4, name="doubled")(ids),
            keras.layers.Embedding(12, 4, dtype="float64", name="wide")(ids),
            keras.layers.Embedding(12, 4, name="moved")(ids),
        ],
    )
    _, report = swapped(model, store)
    assert {e.layer: e.why for e in report.stayed} == {
        "doubled": "Doubled is an Embedding with a call of its own",
        "wide": "no row format keeps float64: pass row_format",
    }


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_mixed_precision_keeps_its_output_dtype(store, policy):
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(ids, keras.layers.Embedding(40, 4, dtype=policy)(ids))
    batch = np.arange(39).reshape(-1, 3)
    served, report = swapped(model, store)
    assert served(batch).dtype == model(batch).dtype == policy.replace("mixed_", "")
    np.testing.assert_array_equal(served(batch), model(batch))
    assert report.moved[0].row_format == ("float32" if "mixed" in policy else policy)


def quantize(layer, mode):
    if mode == "int4":
        layer.quantize("int4", config=keras.quantizers.Int4QuantizationConfig(block_size=-1))
    elif mode == "int4 in groups":
        layer.quantize("int4", config=keras.quantizers.Int4QuantizationConfig(block_size=4))
    else:
        layer.quantize(mode)


@pytest.mark.parametrize("outer", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("mode", ["int8", "int4", "int4 in groups"])
def test_quantized_rows_move_bit_for_bit(store, mode, policy, outer):
    ids = keras.Input((3,), dtype="int32")
    layer = keras.layers.Embedding(40, 8, dtype=policy, name="quantized")
    model = keras.Model(ids, layer(ids))
    model.dtype_policy = outer
    quantize(layer, mode)
    batch = np.arange(39).reshape(-1, 3)
    served, report = swapped(model, store)
    assert served(batch).dtype == model(batch).dtype
    np.testing.assert_array_equal(served(batch), model(batch))
    if mode == "int4 in groups":
        assert report.moved[0].why == "dequantized"
    else:
        assert report.moved[0].row_format == "int8"
        assert report.moved[0].why == f"{mode} as quantized"


@pytest.mark.parametrize("mode", [None, "int8"])
def test_lora_is_merged(store, mode):
    ids = keras.Input((3,), dtype="int32")
    layer = keras.layers.Embedding(40, 8, name="adapted")
    model = keras.Model(ids, layer(ids))
    layer.enable_lora(2)
    layer.lora_embeddings_b.assign(np.random.default_rng(0).normal(size=(2, 8)))
    if mode:
        layer.quantize(mode)
    batch = np.arange(39).reshape(-1, 3)
    served, report = swapped(model, store)
    np.testing.assert_allclose(served(batch), model(batch), rtol=1e-6)
    assert report.moved[0].why.endswith("LoRA of rank 2 merged")
    assert report.moved[0].row_format == "float32"


def test_row_format_rounds_when_it_is_asked_to(store):
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(40, 8)])
    batch = np.arange(39).reshape(-1, 3)
    served, report = swapped(model, store, row_format="float16")
    expected = np.array(model(batch)).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(served(batch), expected)
    assert report.moved[0].bytes == 40 * 16


def test_out_of_range_and_default_row_are_passed_on(store):
    model = keras.Sequential([keras.Input((), dtype="int64"), keras.layers.Embedding(4, 2)])
    rows = np.array(model.layers[0].embeddings)
    served, _ = swapped(model, store, deployment="a", default_row=[7.0, 8.0])
    np.testing.assert_array_equal(served(np.array([-1, 4])), [[7, 8], [7, 8]])
    served, _ = swapped(model, store, deployment="b", out_of_range="wrap_negatives")
    np.testing.assert_array_equal(served(np.array([-1, 1])), rows[[3, 1]])
    served, _ = swapped(model, store, deployment="c", out_of_range="error")
    with pytest.raises(tf.errors.InvalidArgumentError, match="4"):
        served(np.array([4]))
    np.testing.assert_array_equal(served(np.array([3])), rows[[3]])


def test_swapped_model_fine_tunes_as_with_frozen_embeddings(store):
    model, batch = two_table_model(), two_table_batch(64)
    targets = np.random.default_rng(2).normal(size=(64, 1)).astype(np.float32)
    served, _ = swapped(model, store)

    def gradients(of):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((of(batch) - targets) ** 2)
        weights = [
            weight.value for layer in ("hidden", "rating") for weight in of.get_layer(layer).weights
        ]
        return tape.gradient(loss, weights)

    for layer in ("user_id", "movie_id"):
        model.get_layer(layer).trainable = False
    for frozen, lookup in zip(gradients(model), gradients(served), strict=True):
        np.testing.assert_array_equal(frozen, lookup)

    reference = keras.models.clone_model(model)
    reference.set_weights(model.get_weights())
    for each in (reference, served):
        each.compile(keras.optimizers.SGD(0.1), "mse")
    history = [
        each.fit(batch, targets, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
        for each in (reference, served)
    ]
    np.testing.assert_array_equal(history[0], history[1])
    assert served.evaluate(batch, targets, verbose=0) == reference.evaluate(
        batch, targets, verbose=0
    )


def test_a_compiled_model_comes_back_compiled(store):
    model, batch = two_table_model(), two_table_batch()
    model.compile(keras.optimizers.Adam(0.5), "mse", metrics=["mae"])
    served, report = swapped(model, store)
    assert report.notes == ()
    assert served.optimizer is not model.optimizer
    assert float(served.optimizer.learning_rate.value) == 0.5
    targets = np.zeros((32, 1))
    assert served.evaluate(batch, targets, verbose=0) == model.evaluate(batch, targets, verbose=0)
    model.fit(batch, targets, verbose=0)


def test_a_loss_keras_cannot_repeat_is_in_the_report(store):
    model = two_table_model()
    model.compile("sgd", lambda y, p: keras.ops.mean(y - p))
    served, report = swapped(model, store)
    assert not served.compiled and model.compiled
    assert report.notes[0].startswith("compile the model again")


def test_works_in_tf_data(store):
    model, batch = two_table_model(), two_table_batch()
    served, _ = swapped(model, store)
    data = (
        tf.data.Dataset.from_tensor_slices(tuple(batch))
        .batch(8)
        .map(lambda user, movie: served([user, movie]), num_parallel_calls=2)
    )
    np.testing.assert_array_equal(np.concatenate(list(data)), model(batch))


def test_compile_with_xla_is_refused_in_words(store):
    model, batch = two_table_model(), two_table_batch()
    served, _ = swapped(model, store)
    with pytest.raises(NotImplementedError, match="XLA cannot compile `user_id`"):
        tf.function(served, jit_compile=True)(batch)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        served.compile("sgd", "mse", jit_compile=True)
    np.testing.assert_array_equal(served.predict(batch, verbose=0), model(batch))


def test_unbuilt_models_are_refused(store):
    with pytest.raises(ValueError, match="call it once on a batch"):
        tf_hps.swap_embeddings(keras.Sequential([keras.layers.Embedding(3, 2, name="e")]), store)


def test_tf_keras_models_are_refused_with_the_other_route(store):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Embedding(3, 2)])
    with pytest.raises(TypeError, match=r"tf\.saved_model\.save"):
        tf_hps.swap_embeddings(model, store)
    with pytest.raises(TypeError, match="is a Keras model"):
        tf_hps.swap_embeddings("model", store)


def test_a_model_nobody_swapped_has_no_report():
    with pytest.raises(ValueError, match="made no report"):
        tf_hps.swap_report(two_table_model())


def test_a_model_trained_again_has_the_same_table_names(store):
    def model():
        return keras.Sequential(
            [
                keras.Input((3,), dtype="int32"),
                keras.Sequential([keras.layers.Embedding(9, 2), keras.layers.Flatten()]),
                keras.layers.Reshape((6, 1)),
            ]
        )

    tables = [swapped(model(), store)[1].moved[0].table for _ in range(2)]
    assert tables == ["embedding", "embedding"]
