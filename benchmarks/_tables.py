"""Tables of the benchmarks: dense variables and memory stores with the same rows."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import tf_hps


def dense(rows: int, embedding_dim: int) -> tf.Variable:
    return tf.Variable(tf.random.stateless_normal((rows, embedding_dim), (1, 2)))


def in_memory(variable: tf.Variable, row_format: str = "float32", name: str = "t") -> tf_hps.Table:
    """A table with the rows of `variable` under the keys 0, 1, 2, ..., all in the memory store."""
    rows, embedding_dim = variable.shape
    config = tf_hps.Config(
        deployment=f"benchmark-{rows}-{row_format}-{name}",
        memory=tf_hps.MemoryConfig(capacity_rows=rows),
        tables={name: tf_hps.TableConfig(embedding_dim=embedding_dim, row_format=row_format)},
    )
    table = tf_hps.Table(name, config)
    step = 65536
    for begin in range(0, rows, step):
        part = variable[begin : begin + step]
        table.insert(np.arange(begin, begin + part.shape[0]), part)
    return table


def print_memory(table: tf_hps.Table) -> None:
    stats, spec = table.stats(), table.stats()["tiers"][0]
    row_bytes = {"float32": 4, "float16": 2, "bfloat16": 2}.get(table.row_format)
    if row_bytes is not None:
        expected = stats["rows"] * table.embedding_dim * row_bytes
        print(
            f"memory store: {spec['rows']:,} rows of {table.embedding_dim} {table.row_format}, "
            f"{spec['bytes'] / expected:.3f} times their bytes"
        )
