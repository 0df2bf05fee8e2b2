"""The keys of rows: integers as they are, words by their fingerprints."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# The key under which the row of unknown keys is stored; several begin there or a little above it.
UNKNOWN = np.iinfo(np.int64).min
# How an unknown key finds its row: see `default_row` of TableConfig.
FLOORMOD, FINGERPRINT, DECIMAL = "floormod", "fingerprint", "decimal_fingerprint"
# As many may have rows: see default_row in config_value.cc.
MOST_UNKNOWN_ROWS = 2**20


def word_keys(words: tf.Tensor | tf.RaggedTensor | npt.ArrayLike) -> tf.Tensor | tf.RaggedTensor:
    """The keys of words: their 64-bit fingerprints (TensorFlow's farmhash64), as int64.

    Lookups of strings use them. Whoever publishes the row of a new word publishes it under its key.

    Args:
        words: Strings of any shape, dense or ragged.

    Example:

    ```python
    tf_hps.word_keys(["toy story", "heat"])  # int64, [2]
    ```
    """
    if isinstance(words, tf.RaggedTensor):
        return words.with_flat_values(word_keys(words.flat_values))
    words = tf.convert_to_tensor(words, tf.string)
    bits = tf.fingerprint(tf.reshape(words, [-1]), method="farmhash64")
    keys = tf.reshape(tf.bitcast(bits, tf.int64), tf.shape(words))
    keys.set_shape(words.shape)
    return keys


def default_row(unknown_rows: int, rule: str) -> dict[str, int | str]:
    """What a table's configuration says of that many rows for unknown keys."""
    if unknown_rows == 1:
        return {"id": UNKNOWN}
    return {"id": first_unknown(unknown_rows, rule), "buckets": unknown_rows, "by": rule}


def first_unknown(unknown_rows: int, rule: str) -> int:
    """The key of the first of the rows for unknown keys; no other key may be among theirs.

    Who asks for one of these keys gets what they get who have no row: it is in its own bucket. Only
    buckets by decimal digits are not in the order of the keys.
    """
    if rule == DECIMAL:
        return UNKNOWN
    as_number = UNKNOWN if rule == FLOORMOD else UNKNOWN + 2**64
    return UNKNOWN + -as_number % unknown_rows


def unknown_row_of(keys: npt.NDArray[np.int64], unknown_rows: int, rule: str) -> Any:
    """Which of the rows for unknown keys each of these gets; as the table does it."""
    if rule == FLOORMOD:
        return np.mod(keys, unknown_rows)
    if rule == FINGERPRINT:
        return np.mod(keys.view(np.uint64), np.uint64(unknown_rows)).astype(np.int64)
    return tf.strings.to_hash_bucket_fast(tf.strings.as_string(keys), unknown_rows).numpy()


def stored_keys(keys: Any, unknown_rows: int = 1, rule: str = FLOORMOD) -> npt.NDArray[np.int64]:
    """`word_keys` of an array of words, integers as they are. Two words with the same key are a ValueError.

    `unknown_rows`: the rows for unknown keys by `rule`, whose keys may not be among these either.
    """
    if keys.dtype != object:
        stored = keys.astype(np.int64)
    else:
        stored = word_keys(tf.constant(keys, tf.string)).numpy()
    order = np.argsort(stored, kind="stable")
    same = np.flatnonzero(stored[order][1:] == stored[order][:-1])
    if len(same):
        one, other = keys[order[same[0]]], keys[order[same[0] + 1]]
        raise ValueError(f"the keys {one!r} and {other!r} have the same fingerprint")
    first = first_unknown(unknown_rows, rule)
    reserved = (stored >= first) & (stored < first + unknown_rows)
    if reserved.any():
        raise ValueError(f"the key {keys[reserved][0]!r} is kept for unknown ones")
    return stored
