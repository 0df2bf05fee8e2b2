"""Words that are read from files, and the rows that are stored under them."""

import keras
import numpy as np
import tensorflow as tf
from rewrite_models import rows, save_v1, signature_answer, v1

import tf_hps
from tf_hps.saved_model import rewrite


def words_file(folder, name, words):
    path = folder / name
    path.write_text("".join(f"{word}\n" for word in words))
    return str(path)


def test_a_file_of_words_goes_with_its_vocabulary(tmp_path):
    keras.utils.set_random_seed(1)
    word = keras.Input((2,), dtype="string", name="word")
    number = keras.Input((), dtype="int64", name="number")
    words = words_file(tmp_path, "words.txt", ["one", "two", "drei", "véier"])
    numbers = words_file(tmp_path, "numbers.txt", [7, -3, 1 << 40])
    shown = words_file(tmp_path, "shown.txt", ["one", "three"])
    rows = keras.layers.Embedding(6, 4, name="words")(
        keras.layers.StringLookup(vocabulary=words, mask_token="")(word)
    )
    other = keras.layers.Embedding(4, 4, name="numbers")(
        keras.layers.IntegerLookup(vocabulary=numbers)(number)
    )
    index = keras.layers.StringLookup(vocabulary=shown)(word)
    keras.Model([word, number], [rows, other, index]).export(str(tmp_path / "in"), verbose=False)
    report = rewrite(tmp_path / "in", tmp_path / "out", fold_lookups=True)
    assert {table.table: table.keys for table in report.tables} == {"words": 5, "numbers": 3}
    assert all(check.equal is not False for check in report.checks)
    assert {p.name for p in (tmp_path / "in/assets").iterdir()} == {
        "words.txt",
        "numbers.txt",
        "shown.txt",
    }
    assert {p.name for p in (tmp_path / "out/assets").iterdir()} == {"shown.txt", "hps.json"}
    inputs = {
        "word": np.array([["one", "véier"], ["", "three"], ["drei", "two"], ["x", "one"]], object),
        "number": np.array([7, 8, 1 << 40, -3]),
    }
    before = signature_answer(tmp_path / "in", **inputs)
    (tmp_path / "out").rename(tmp_path / "moved")
    after = signature_answer(tmp_path / "moved", **inputs)
    loaded = tf_hps.load(tmp_path / "moved")
    served = loaded.serve([tf.constant(value) for value in inputs.values()])
    assert before.keys() == after.keys()
    for i, key in enumerate(sorted(before)):
        np.testing.assert_array_equal(before[key], after[key])
        np.testing.assert_array_equal(before[key], served[i])


def test_tables_with_several_rows_for_unknown_keys(tmp_path):
    words = words_file(tmp_path, "words.txt", ["one", "two", "drei"])

    def build():
        asked = v1.placeholder(tf.string, [None], name="asked")
        numbers = v1.placeholder(tf.int64, [None], name="numbers")
        lines = tf.lookup.TextFileInitializer(
            words,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        pairs = tf.lookup.KeyValueTensorInitializer([5, -6], [0, 1], tf.int64, tf.int64)
        items = v1.get_variable("items", initializer=rows(6, 4), use_resource=True)
        users = v1.get_variable("users", initializer=rows(7, 4), use_resource=True)
        return {"asked": asked, "numbers": numbers}, {
            "items": tf.gather(items, tf.lookup.StaticVocabularyTable(lines, 3).lookup(asked)),
            "users": tf.gather(users, tf.lookup.StaticVocabularyTable(pairs, 5).lookup(numbers)),
        }

    save_v1(tmp_path / "in", build)
    report = rewrite(tmp_path / "in", tmp_path / "out", fold_lookups=True)
    assert {table.table: table.keys for table in report.tables} == {"items": 3, "users": 2}
    assert [p.name for p in (tmp_path / "out/assets").iterdir()] == ["hps.json"]
    (tmp_path / "words.txt").unlink()
    random = np.random.default_rng(3)
    inputs = {
        "asked": np.array(["one", "", "drei", *(f"word {i}" for i in range(97))], object),
        "numbers": np.append([5, -6, 0, -1, -(2**62), 2**63 - 1], random.integers(-999, 999, 94)),
    }
    before = signature_answer(tmp_path / "in", **inputs)
    after = signature_answer(tmp_path / "out", **inputs)
    for key, answer in before.items():
        np.testing.assert_array_equal(after[key], answer)
    assert len(np.unique(before["items"][:, 0])) == 5  # nobody asked for "two"
    assert len(np.unique(before["users"][:, 0])) == 7
