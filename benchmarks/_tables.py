"""Tables of the benchmarks: dense variables and memory stores with the same rows."""

import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable

import numpy as np
import tensorflow as tf

import tf_hps

THREADS = 2


def use_two_threads() -> None:
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)


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


def chain(
    lookup: Callable[[tf.Tensor], tf.Tensor], behind: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A tf.function that looks ids[0], ids[1], ... up, one after the other.

    The call of the function, tens of microseconds, falls on all of them. One element of each result is
    read, so that nothing is pruned; `behind` stands between.
    """

    @tf.function
    def run(ids: tf.Tensor) -> tf.Tensor:
        seen: list[tf.Tensor] = []
        for one in tf.unstack(ids):
            with tf.control_dependencies(seen[-1:]):
                rows = lookup(one)
                seen.append((rows if behind is None else behind(rows))[0, 0])
        return tf.stack(seen)

    return run


def in_turn(run: Callable[[tf.Tensor], object], inputs: list[tf.Tensor]) -> Callable[[], object]:
    """Calls `run` with the first input, then with the next, and so on in a circle."""
    following = itertools.cycle(inputs)
    return lambda: run(next(following))
