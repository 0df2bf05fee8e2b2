"""Rows of Keras layers and variables: what the layer looks up is what is written."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_hps.store import row_formats
from tf_hps.store.keras_source import from_keras


def rows_of(source):
    batches = list(source)
    rows = np.concatenate([rows for _, rows in batches])
    keys = np.concatenate([keys for keys, _ in batches])
    assert (keys == np.arange(source.rows)).all()
    if rows.dtype == np.uint8:
        return row_formats.decode_rows(rows, source.row_format)
    return rows


def embedding(rows=300, dim=8, **options):
    layer = keras.layers.Embedding(rows, dim, **options)
    layer.build()
    return layer


def looked_up(layer):
    return keras.ops.convert_to_numpy(layer(np.arange(layer.input_dim)))


@pytest.mark.parametrize(
    ("dtype", "row_format"),
    [
        ("float32", "float32"),
        ("float16", "float16"),
        ("bfloat16", "bfloat16"),
        ("mixed_float16", "float32"),
        ("mixed_bfloat16", "float32"),
    ],
)
def test_rows_keep_the_type_of_their_variable(dtype, row_format):
    layer = embedding(dtype=dtype)
    source = from_keras(layer)
    rows = rows_of(source)
    assert source.row_format == row_format
    assert (rows == keras.ops.convert_to_numpy(layer.embeddings)).all()
    assert (rows.astype(looked_up(layer).dtype) == looked_up(layer)).all()


def test_quantized_rows_move_bit_for_bit():
    layer = embedding()
    layer.quantize("int8")
    source = from_keras(layer)
    assert source.row_format == "int8"
    assert (rows_of(source) == looked_up(layer)).all()
    stored = next(iter(source))[1]
    assert (stored[:, 4:].view(np.int8) == layer._embeddings.numpy()).all()


@pytest.mark.parametrize("quantization", [None, "int8", "int4"])
def test_lora_and_int4_become_the_rows_that_the_layer_answers(quantization):
    layer = embedding()
    if quantization:
        layer.quantize(quantization)
    if quantization != "int4":
        layer.enable_lora(2)
        layer.lora_embeddings_b.assign(np.ones((2, 8)))
    source = from_keras(layer)
    assert source.row_format == "float32"
    np.testing.assert_allclose(rows_of(source), looked_up(layer), rtol=0, atol=1e-6)


def test_variables_of_keras_and_tensorflow():
    values = np.random.default_rng(0).standard_normal((70_000, 3), dtype=np.float32)
    for variable in (keras.Variable(values), tf.Variable(values)):
        assert (rows_of(from_keras(variable)) == values).all()


def test_what_has_no_rows_is_named():
    layer = keras.layers.Embedding(3, 2, name="movies")
    with pytest.raises(ValueError, match="Layer 'movies' has no rows yet; build it"):
        from_keras(layer)
    with pytest.raises(ValueError, match=r"Received: variable .* of shape \(3,\)"):
        from_keras(keras.Variable(np.ones(3, np.float32)))
