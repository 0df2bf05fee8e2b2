"""A Keras layer that looks rows up in a table."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from tf_hps import _config_json
from tf_hps.config import Config, TableConfig
from tf_hps.embedding_bags import COMBINERS
from tf_hps.embedding_ops import embedding_lookup
from tf_hps.layers.hps_keys import HpsKeys, key_of, to_ids, to_keys
from tf_hps.layers.pooling import pooled_lookup
from tf_hps.table import Table

# What the op hands out; other compute dtypes are cast from float32.
_TABLE_DTYPES = ("float32", "float16", "bfloat16")


@keras.saving.register_keras_serializable(package="tf_hps")
class HpsEmbedding(keras.layers.Layer):
    """Turns ids, integers or strings, into rows of a table that lives outside of the model.

    Stands where `keras.layers.Embedding` stood: the same masks, shapes and output dtypes. It has no weights
    and no gradient; fine-tuning trains the layers behind it. Every int64 is an id: what an
    unknown one gets is the table's `default_row` and `out_of_range`. XLA (`jit_compile=True`) cannot
    compile a lookup.

    Args:
        table: A `tf_hps.Table`. Give either it, or `config` and `table_name`.
        config: A `tf_hps.Config`, the path of an `hps.json`, or its content as a dictionary.
        table_name: The table's name in `config`.
        mask_zero: Whether the padding key is padding that layers behind this one skip. With a
            `combiner` padding is left out of the sum. Defaults to `False`.
        padding_key: The id, or the word, that is padding for `mask_zero`, and that a sparse tensor has
            where it has nothing. Defaults to 0.
        combiner: `None`, or `"sum"`, `"mean"` or `"sqrtn"` to combine the rows over the last axis of
            the ids. Defaults to `None`.
        **kwargs: `name` and `dtype` of the layer.

    Call arguments:
        inputs: Ids, dense, ragged or sparse, of any integer type, or strings, whose keys are
            `tf_hps.word_keys(inputs)`; shape `(batch, ...)`.
        weights: Optional, with a `combiner`: one weight for each id.

    Output shape:
        `inputs.shape + (embedding_dim,)`; with a `combiner` without the last axis of the ids.

    Example:

    ```python
    store = tempfile.mkdtemp()
    config = tf_hps.Config(
        rocksdb=tf_hps.RocksdbConfig(path=store, read_only=False),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=2)},
    )
    layer = tf_hps.layers.HpsEmbedding(config=config, table_name="movie_id")
    layer.table.insert([7, 1 << 40], [[1.0, 2.0], [3.0, 4.0]])
    layer(np.array([[7, 1 << 40, -1]]))  # [[[1, 2], [3, 4], [0, 0]]]
    ```
    """

    def __init__(
        self,
        table: Table | None = None,
        *,
        config: Config | str | os.PathLike[str] | dict[str, Any] | None = None,
        table_name: str | None = None,
        mask_zero: bool = False,
        padding_key: int | str = 0,
        combiner: str | None = None,
        **kwargs: Any,
    ):
        if combiner is not None and combiner not in COMBINERS:
            raise ValueError(
                f"`combiner` is None or one of {COMBINERS}. Received: combiner={combiner!r}"
            )
        given = (table is not None, config is not None, table_name is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError(
                "Give a `table`, or `config` and `table_name`. Received: "
                f"table={table}, config={config}, table_name={table_name!r}"
            )
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        # Ids are no floats to cast, in mixed precision either.
        self.autocast = False
        # With a GPU Keras compiles with XLA by default, which has no lookup.
        self.supports_jit = False
        self.supports_masking = mask_zero and combiner is None
        self.mask_zero = mask_zero
        self.padding_key = padding_key
        self._padding = key_of(padding_key)
        self.combiner = combiner
        if table is None:
            # The resource outlives the function that may be traced right now.
            with tf.init_scope():
                table = Table(str(table_name), config=_config(config), dtype=self._table_dtype())
        self.table = table
        self.built = True

    # Names that code around an Embedding reads.
    @property
    def input_dim(self) -> int | None:
        return self.vocabulary_size

    @property
    def output_dim(self) -> int:
        return self.table.embedding_dim

    @property
    def embeddings(self) -> None:
        raise AttributeError(
            f"The rows of `{self.name}` are no variable: they live in table {self.table.name!r}. Look "
            "them up by calling the layer, or read them with `layer.table.scan()`."
        )

    def call(self, inputs: Any, weights: Any = None) -> Any:
        if weights is not None and self.combiner is None:
            raise ValueError(f"`weights` need a combiner, one of {COMBINERS}.")
        ids = self.to_ids(inputs)
        if self.combiner is None:
            rows = embedding_lookup(self.table, ids)
        else:
            if self.mask_zero:
                ids = to_keys(ids)
                weights = self._without_padding(ids, weights)
            rows = pooled_lookup(self.table, ids, weights, self.combiner)
        return tf.cast(rows, self.compute_dtype)

    def to_ids(self, inputs: Any) -> Any:
        """What the layer looks up when it is called with `inputs`: int32, int64 or strings."""
        self._check_not_compiled()
        if isinstance(inputs, tf.SparseTensor) and self.combiner is None:
            # As Keras: what is absent is padding.
            return tf.sparse.to_dense(self._comparable(to_keys(inputs)), self._padding)
        return to_ids(inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.mask_zero or self.combiner is not None:
            return None
        if isinstance(inputs, keras.KerasTensor):
            if self._padding != 0 or inputs.dtype == "string":
                inputs = HpsKeys()(inputs)
            return keras.ops.not_equal(inputs, self._padding)
        ids = self.to_ids(inputs)
        return self._is_kept(to_keys(ids))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...], weights_shape: Any = None
    ) -> tuple[int | None, ...]:
        kept = input_shape if self.combiner is None else input_shape[:-1]
        return (*kept, self.output_dim)

    def compute_output_spec(self, inputs: Any, weights: Any = None) -> keras.KerasTensor:
        ragged = getattr(inputs, "ragged", False) and (
            self.combiner is None or len(inputs.shape) > 2
        )
        return keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype, ragged=ragged
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": self._table_config(),
            "table_name": self.table.name,
            "mask_zero": self.mask_zero,
            "padding_key": self.padding_key,
            "combiner": self.combiner,
        }

    @property
    def vocabulary_size(self) -> int | None:
        """How many ids the model was trained with, where the configuration says so."""
        config = Config.load(self.table.config_path).tables.get(self.table.name)
        return config.vocabulary_size if config else None

    def _table_config(self) -> dict[str, Any]:
        """An hps.json for this table alone, and for the rows it holds now where a store keeps them."""
        config = Config.load(self.table.config_path).absolute()
        table = config.tables.get(self.table.name, TableConfig())
        if config.rocksdb is not None:
            table = dataclasses.replace(table, generation=self.table.generation)
        config = dataclasses.replace(config, tables={self.table.name: table})
        return json.loads(config.to_json())

    def _table_dtype(self) -> str:
        return self.compute_dtype if self.compute_dtype in _TABLE_DTYPES else "float32"

    def _check_not_compiled(self) -> None:
        if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
            raise NotImplementedError(
                f"XLA cannot compile `{self.name}`: its rows live in table {self.table.name!r}, outside of "
                "the graph. Leave out `jit_compile=True`, or compile only the layers behind it."
            )

    def _comparable(self, ids: Any) -> Any:
        """Ids that are compared with the padding key, which may not be an int32."""
        return ids if self._padding == 0 else tf.cast(ids, tf.int64)

    def _is_kept(self, ids: Any) -> Any:
        return keras.ops.not_equal(self._comparable(ids), self._padding)

    def _without_padding(self, ids: Any, weights: Any) -> Any:
        flat = ids.flat_values if isinstance(ids, tf.RaggedTensor) else getattr(ids, "values", ids)
        kept = tf.cast(self._is_kept(flat), tf.float32)
        if weights is not None:
            given = getattr(weights, "flat_values", getattr(weights, "values", weights))
            kept *= tf.cast(given, tf.float32)
        if isinstance(ids, tf.RaggedTensor):
            return (ids if weights is None else weights).with_flat_values(kept)
        if isinstance(ids, tf.SparseTensor):
            return (ids if weights is None else weights).with_values(kept)
        return kept


def _config(config: Any) -> Any:
    return _config_json.write_private(json.dumps(config)) if isinstance(config, dict) else config
