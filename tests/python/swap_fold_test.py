"""Keras models whose vocabularies go: rows are stored under the words and numbers themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_hps
from tf_hps.layers import HpsEmbedding, HpsKeys

WORDS = ["toy story", "heat", "die hard", "véier"]
ASKED = np.array(["heat", "unknown", "", "véier", "[UNK]", "die hard"], object)


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def swapped(model, store, **kwargs):
    kwargs.setdefault("deployment", "swap_fold")
    return tf_hps.swap_embeddings(model, store, fold_lookups=True, return_report=True, **kwargs)


def vocabularies(model):
    kinds = (keras.layers.StringLookup, keras.layers.IntegerLookup)
    return [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]


def ratings():
    """Words with and without a mask and with several unknown rows, and numbers of both hashes."""
    keras.utils.set_random_seed(2)
    word = keras.Input((3,), dtype="string", name="word")
    number = keras.Input((3,), dtype="int32", name="number")
    lookups = {
        "plain": keras.layers.StringLookup(vocabulary=WORDS)(word),
        "masked": keras.layers.StringLookup(vocabulary=WORDS, mask_token="")(word),
        "hashed": keras.layers.StringLookup(vocabulary=WORDS, num_oov_indices=3)(word),
        "both": keras.layers.StringLookup(vocabulary=WORDS, mask_token="", num_oov_indices=3)(word),
        "numbers": keras.layers.IntegerLookup(vocabulary=[7, -2, 300])(number),
        "modulo": keras.layers.IntegerLookup(
            vocabulary=[7, -2, 300], mask_token=0, num_oov_indices=5
        )(number),
        "digits": keras.layers.IntegerLookup(
            vocabulary=[7, -2, 300], num_oov_indices=4, oov_method="farmhash"
        )(number),
    }
    rows = [keras.layers.Embedding(9, 4, name=name)(ids) for name, ids in lookups.items()]
    return keras.Model([word, number], keras.layers.Concatenate()(rows))


def ratings_batch():
    random = np.random.default_rng(5)
    words = np.concatenate([ASKED, [f"word {i}" for i in range(54)]]).astype(object)
    numbers = random.integers(-(2**31), 2**31, 60)
    numbers[:8] = [0, 7, -2, 300, 301, -1, -(2**31), 2**31 - 1]
    return [tf.constant(words.reshape(20, 3)), tf.constant(numbers.reshape(20, 3), tf.int32)]


def test_vocabularies_go_and_predictions_stay_equal(store):
    model, batch = ratings(), ratings_batch()
    served, report = swapped(model, store)
    np.testing.assert_array_equal(served(batch), model(batch))
    assert {embedding.table: embedding.keys for embedding in report.embeddings} == {
        "plain": 4,
        "masked": 5,
        "hashed": 4,
        "both": 5,
        "numbers": 3,
        "modulo": 4,
        "digits": 3,
    }
    assert vocabularies(served) == [] and report.notes == ()
    assert not any(isinstance(layer, HpsKeys) for layer in served._flatten_layers())
    assert len(vocabularies(model)) == 7


def test_the_export_takes_words_and_finds_those_published_later(store, tmp_path):
    model, batch = ratings(), ratings_batch()
    served, _ = swapped(model, store)
    tf_hps.export(served, tmp_path / "export")
    assert b"die hard" not in (tmp_path / "export/saved_model.pb").read_bytes()
    loaded = tf_hps.load(tmp_path / "export")
    before = model(batch).numpy()
    np.testing.assert_array_equal(loaded.serve(batch), before)
    np.testing.assert_array_equal(loaded.serve([b[:0] for b in batch]), before[:0])


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_word_published_later_is_found(store, buckets):
    word = keras.Input((), dtype="string")
    ids = keras.layers.StringLookup(vocabulary=WORDS, num_oov_indices=buckets)(word)
    model = keras.Model(word, keras.layers.Embedding(8, 2, name="title")(ids))
    served, _ = swapped(model, store, read_only=False)
    (layer,) = (layer for layer in served.layers if isinstance(layer, HpsEmbedding))
    np.testing.assert_array_equal(served(ASKED), model(ASKED))
    layer.table.insert(tf_hps.word_keys(["unknown"]), [[1.0, 2.0]])
    wanted = model(ASKED).numpy()
    wanted[1] = [1, 2]
    np.testing.assert_array_equal(served(ASKED), wanted)


def test_masks_are_those_of_the_mask_token(store):
    word = keras.Input((None,), dtype="string")
    ids = keras.layers.StringLookup(vocabulary=WORDS, mask_token="", num_oov_indices=2)(word)
    rows = keras.layers.Embedding(7, 4, mask_zero=True, name="title")(ids)
    model = keras.Model(word, keras.layers.LSTM(3)(rows))
    served, report = swapped(model, store)
    assert report.notes == ()
    batch = tf.constant([["heat", "unknown", "", ""], ["x", "die hard", "heat", ""], [""] * 4])
    np.testing.assert_array_equal(served(batch), model(batch))
    (layer,) = (layer for layer in served.layers if isinstance(layer, HpsEmbedding))
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(again.compute_mask(batch), batch != "")
    in_line = keras.Sequential([keras.Input((None,), dtype="string"), *model.layers[1:]])
    served, report = swapped(in_line, store)
    assert report.notes == ()
    np.testing.assert_array_equal(served(batch), model(batch))


def test_a_sequential_model_begins_with_its_lookup(store):
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="int64"),
            keras.layers.IntegerLookup(vocabulary=[10, 20, 1 << 40]),
            keras.layers.Embedding(4, 3, name="user"),
            keras.layers.Flatten(),
        ]
    )
    batch = np.array([[10, 11], [1 << 40, -1], [20, 0]])
    served, _ = swapped(model, store)
    assert [type(layer) for layer in served.layers] == [HpsEmbedding, keras.layers.Flatten]
    np.testing.assert_array_equal(served(batch), model(batch))


class Titles(keras.Model):
    def __init__(self):
        super().__init__()
        self.ids = keras.layers.StringLookup(vocabulary=WORDS, num_oov_indices=2)
        self.rows = [keras.layers.Embedding(6, size) for size in (2, 3)]
        self.head = keras.layers.Dense(1)

    def call(self, words):
        ids = tf.reshape(self.ids(words), [-1])
        return self.head(tf.concat([rows(ids) for rows in self.rows], -1))


@pytest.mark.parametrize("in_place", [False, True])
def test_a_subclassed_model(store, in_place):
    model = Titles()
    before = model(ASKED).numpy()
    served, report = swapped(model, store, in_place=in_place)
    assert [embedding.keys for embedding in report.moved] == [4, 4]
    assert isinstance(served.ids, HpsKeys)
    np.testing.assert_array_equal(served(ASKED), before)


def test_a_lookup_outside_of_the_model_of_its_embedding(store):
    ids = keras.Input((2,), dtype="int64")
    inner = keras.Model(ids, keras.layers.Embedding(5, 4, name="title")(ids), name="inner")
    words = keras.Input((2,), dtype="string")
    model = keras.Model(words, inner(keras.layers.StringLookup(vocabulary=WORDS)(words)))
    served, report = swapped(model, store)
    assert report.moved[0].keys == 4
    batch = tf.constant(ASKED.reshape(3, 2))
    np.testing.assert_array_equal(served(batch), model(batch))


def test_ragged_and_sparse_words(store):
    for kind in ("ragged", "sparse"):
        words = keras.Input((None,), dtype="string", **{kind: True})
        ids = keras.layers.StringLookup(vocabulary=WORDS, mask_token="-")(words)
        model = keras.Model(words, keras.layers.Embedding(6, 4, name=kind)(ids))
        served, report = swapped(model, store)
        assert report.moved[0].keys == 5
        batch = tf.ragged.constant([["heat"], ["x", "véier", "-"], []])
        batch = batch if kind == "ragged" else batch.to_sparse()
        before, after = model(batch), served(batch)
        if kind == "ragged":
            assert before.row_lengths().numpy().tolist() == after.row_lengths().numpy().tolist()
            before, after = before.flat_values, after.flat_values
        np.testing.assert_array_equal(after, before)


def test_vocabularies_that_stay_say_why(store):
    word = keras.Input((2,), dtype="string", name="word")

    def rows(name, mask_zero=False, times=1, **kwargs):
        lookup = keras.layers.StringLookup(vocabulary=WORDS, name=f"{name}_ids", **kwargs)
        embedding = keras.layers.Embedding(9, 4, name=name, mask_zero=mask_zero)
        return lookup, [embedding(lookup(word)) for _ in range(times)][-1]

    shown, shown_rows = rows("shown")
    outputs = [
        rows("strict", num_oov_indices=0)[1],
        rows("salted", num_oov_indices=2, salt=[1, 2])[1],
        rows("first", mask_zero=True)[1],
        shown_rows,
        keras.ops.cast(shown(word), "float32"),
        keras.layers.Embedding(5, 4, name="small")(
            keras.layers.StringLookup(vocabulary=[*WORDS, "more"], name="small_ids")(word)
        ),
    ]
    model = keras.Model(word, outputs)
    served, report = swapped(model, store)
    whys = {note.split("`")[1]: note.split(": ", 1)[1] for note in report.notes}
    assert whys["strict_ids"] == "unknown keys are an error (num_oov_indices=0)"
    assert whys["salted_ids"] == "unknown keys get their rows by a salted hash"
    assert whys["first_ids"] == "`first` masks row 0, which is that of no mask token"
    assert whys["shown_ids"].startswith("its numbers are used by Cast")
    assert whys["small_ids"] == "it has 6 numbers, `small` 5 rows"
    assert [embedding.keys for embedding in report.moved] == [0] * 5
    known = tf.constant([["heat", "die hard"], ["toy story", "véier"]])
    for before, after in zip(model(known), served(known), strict=True):
        np.testing.assert_array_equal(after, before)


def test_going_back_needs_the_model_that_was_swapped(store):
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="string"),
            keras.layers.StringLookup(vocabulary=WORDS),
            keras.layers.Embedding(5, 3, name="title"),
        ]
    )
    served, _ = swapped(model, store)
    with pytest.raises(ValueError, match="keys of a vocabulary that went"):
        tf_hps.restore_embeddings(served)
