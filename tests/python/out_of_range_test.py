"""The columns of docs/out_of_range.md that a CPU can show."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_hps

VOCABULARY = 5
ROWS = np.arange(1, 2 * VOCABULARY + 1, dtype=np.float32).reshape(VOCABULARY, 2)
IDS = {"-1": -1, "vocabulary size": VOCABULARY, "INT64_MAX": 2**63 - 1}
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "out_of_range.md"


def keras_embedding(_):
    layer = keras.layers.Embedding(VOCABULARY, 2)
    layer.build()
    layer.set_weights([ROWS])
    return layer


def table(tmp_path, **kwargs):
    store = str(tmp_path / "store")
    with tf_hps.store.StoreWriter(store) as writer:
        writer.write_table("rows", tf_hps.store.from_arrays(ROWS))
    config = tf_hps.Config(
        rocksdb=tf_hps.RocksdbConfig(path=store, read_only=True),
        tables={"rows": tf_hps.TableConfig(vocabulary_size=VOCABULARY, **kwargs)},
    )
    opened = tf_hps.Table("rows", config)
    return lambda ids: tf_hps.embedding_lookup(opened, ids)


LOOKUPS = {
    "TensorFlow, CPU": lambda _: lambda ids: tf.nn.embedding_lookup(tf.Variable(ROWS), ids),
    "Keras, CPU": keras_embedding,
    'tf_hps `"default_row"`': table,
    'tf_hps `"error"`': lambda path: table(path, out_of_range="error"),
    'tf_hps `"wrap_negatives"`': lambda path: table(path, out_of_range="wrap_negatives"),
}


def page_rows():
    """{lookup: {id: what the page says}}"""
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in PAGE.read_text().partition("## Several default rows")[0].splitlines()
        if line.startswith("|")
    ]
    header = [cell.strip("`") for cell in lines[0][1:]]
    return {line[0]: dict(zip(header, line[1:], strict=True)) for line in lines[2:]}


def answer(lookup, key):
    try:
        row = np.array(lookup(tf.constant([key], tf.int64)))[0]
    except tf.errors.InvalidArgumentError:
        return "error"
    if not row.any():
        return "default row"
    return {0: "first row", VOCABULARY - 1: "last row"}[
        int(np.flatnonzero((row == ROWS).all(1))[0])
    ]


def test_the_page_has_a_line_for_every_lookup():
    assert set(LOOKUPS) < set(page_rows())
    assert all(set(line) == set(IDS) for line in page_rows().values())


@pytest.mark.parametrize("key", IDS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_the_page_says_what_happens(tmp_path, lookup, key):
    assert answer(LOOKUPS[lookup](tmp_path), IDS[key]) == page_rows()[lookup][key]
