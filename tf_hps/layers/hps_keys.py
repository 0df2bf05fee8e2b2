"""A Keras layer that turns ids into the keys of rows."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_hps.row_keys import stored_keys, word_keys


@keras.saving.register_keras_serializable(package="tf_hps")
class HpsKeys(keras.layers.Layer):
    """Turns ids into the keys under which their rows are stored: integers as they are, words by `tf_hps.word_keys`.

    Stands where a `StringLookup` or an `IntegerLookup` stood whose vocabulary went
    (`tf_hps.swap_embeddings(fold_lookups=True)`), unless the layer behind it takes the ids themselves, as
    `HpsEmbedding` does.

    Args:
        padding_key: The id, or the word, that was number 0 of the vocabulary. Defaults to 0.
        **kwargs: `name` of the layer.

    Call arguments:
        inputs: Ids, dense, ragged or sparse, integers or strings.

    Output shape:
        `inputs.shape`, int64.

    Example:

    ```python
    tf_hps.layers.HpsKeys()(tf.constant([["toy story", "heat"]]))  # int64, [1, 2]
    ```
    """

    def __init__(self, padding_key: int | str = 0, **kwargs: Any):
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        self.autocast = False
        self.padding_key = padding_key
        self.supports_jit = False  # XLA knows no strings
        self.built = True

    def call(self, inputs: Any) -> Any:
        return tf.cast(to_keys(inputs), tf.int64)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(
            inputs.shape,
            dtype="int64",
            sparse=inputs.sparse,
            ragged=getattr(inputs, "ragged", False),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding_key": self.padding_key}


def key_of(id_or_word: int | str) -> int:
    """The key of one."""
    if not isinstance(id_or_word, str):
        return int(id_or_word)
    return int(stored_keys(np.array([id_or_word.encode()], object))[0])


def to_keys(inputs: Any) -> Any:
    """The keys of ids, int32 or int64."""
    ids = to_ids(inputs)
    if ids.dtype != tf.string:
        return ids
    if isinstance(ids, tf.SparseTensor):
        return ids.with_values(word_keys(ids.values))
    return word_keys(ids)


def to_ids(inputs: Any) -> Any:
    """Ids as they are looked up, int32, int64 or strings."""
    if not isinstance(inputs, (tf.Tensor, tf.RaggedTensor, tf.SparseTensor)):
        inputs = tf.convert_to_tensor(inputs)
    if inputs.dtype in (tf.int32, tf.int64, tf.string):
        return inputs
    if not (inputs.dtype.is_integer or inputs.dtype.is_floating):
        raise TypeError(
            f"Ids are integers or strings. Received: inputs of dtype {inputs.dtype.name}"
        )
    # Keras traces subclassed models with float32 ids.
    return tf.cast(inputs, tf.int64)
