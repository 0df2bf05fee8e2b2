"""Tables for tests: each in a deployment of its own, so that none meets another test's rows."""

import uuid
from typing import Any

import numpy as np

import tf_hps


def memory_config(*names: str, embedding_dim: int = 4, **options: Any) -> tf_hps.Config:
    return tf_hps.Config(
        deployment=f"test-{uuid.uuid4().hex}",
        memory=tf_hps.MemoryConfig(),
        tables={
            name: tf_hps.TableConfig(embedding_dim=embedding_dim, **options)
            for name in names or ("movie_id",)
        },
    )


def rocksdb_config(path: Any, embedding_dim: int = 4, **options: Any) -> tf_hps.Config:
    """A store that may be written, below memory."""
    return tf_hps.Config(
        deployment=f"test-{uuid.uuid4().hex}",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(str(path)),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=embedding_dim, **options)},
    )


def rows_of(keys: Any, embedding_dim: int = 4) -> np.ndarray:
    """A row that tells its key: [k, k + 1/4, k + 2/4, ...] with k = key modulo 1000."""
    keys = np.asarray(keys)
    steps = np.arange(embedding_dim, dtype=np.float32) / 4
    return (keys % 1000).astype(np.float32)[..., np.newaxis] + steps


def filled_table(
    keys: Any, config: tf_hps.Config | None = None, dtype: str = "float32"
) -> tf_hps.Table:
    table = tf_hps.Table("movie_id", config or memory_config(), dtype=dtype)
    table.insert(keys, rows_of(keys, table.embedding_dim))
    return table
