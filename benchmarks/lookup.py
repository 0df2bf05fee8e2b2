"""HpsLookup from the memory store against tf.nn.embedding_lookup on a dense variable.

Rows are float32. A call is a tf.function of eight lookups in a chain, each of ids of its own, and of
eight reads of one element, so that nothing is pruned. The second run of tf.nn.embedding_lookup (A/A)
shows the noise.
"""

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import _axes
import _measure
import numpy as np
import tensorflow as tf

import tf_hps

LOOKUPS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=_axes.SIZES, default="full")
    axes = _axes.SIZES[parser.parse_args().size]
    tf.config.threading.set_inter_op_parallelism_threads(2)
    tf.config.threading.set_intra_op_parallelism_threads(2)

    variable = tf.Variable(tf.random.stateless_normal((axes.rows, axes.embedding_dim), (1, 2)))
    table = fill(variable, axes)
    print(
        f"{axes.rows:,} rows of {axes.embedding_dim} floats; times of tf.nn over times of HpsLookup"
    )
    print(
        f"{'ids':>10} {'batch':>7} {'M keys/s':>9} {'tf.nn':>7} {'ratio':>6} {'spread':>12} {'A/A':>6}"
    )
    results: list[dict[str, object]] = []
    for distribution in _axes.DISTRIBUTIONS:
        for batch in axes.batches:
            ids = _axes.draw_ids(distribution, axes.rows, LOOKUPS * batch).reshape(LOOKUPS, batch)
            results.append(measure(distribution, tf.constant(ids), variable, table, axes.rounds))
    _measure.save("lookup", results)


def fill(variable: tf.Variable, axes: _axes.Axes) -> tf_hps.Table:
    config = tf_hps.Config(
        deployment="benchmark",
        memory=tf_hps.MemoryConfig(capacity_rows=axes.rows),
        tables={"t": tf_hps.TableConfig(embedding_dim=axes.embedding_dim)},
    )
    table = tf_hps.Table("t", config)
    step = 65536
    for begin in range(0, axes.rows, step):
        rows = variable[begin : begin + step]
        table.insert(np.arange(begin, begin + rows.shape[0]), rows)
    stats = table.stats()["tiers"][0]
    row_bytes = axes.rows * axes.embedding_dim * 4
    print(
        f"memory store: {stats['bytes'] / row_bytes:.3f} times the rows' bytes, {stats['rows']:,} rows"
    )
    return table


def measure(
    distribution: str, ids: tf.Tensor, variable: tf.Variable, table: tf_hps.Table, rounds: int
) -> dict[str, object]:
    batch = int(ids.shape[1])
    calls = max(1, 200_000 // (LOOKUPS * batch))
    dense = chain(lambda one: tf.nn.embedding_lookup(variable, one))
    hps = chain(lambda one: tf_hps.embedding_lookup(table, one))
    peers = {
        "tf.nn": lambda: dense(ids),
        "again": lambda: dense(ids),
        "hps": lambda: hps(ids),
    }
    tf.debugging.assert_equal(dense(ids), hps(ids))
    seconds = _measure.interleave(peers, rounds, calls)
    median, low, high = _measure.ratio(seconds["tf.nn"], seconds["hps"])
    noise = _measure.ratio(seconds["tf.nn"], seconds["again"])
    rates = {
        name: LOOKUPS * batch / sorted(times)[len(times) // 2] / 1e6
        for name, times in seconds.items()
    }
    print(
        f"{distribution:>10} {batch:>7} {rates['hps']:>9.1f} {rates['tf.nn']:>7.1f} {median:>6.2f}"
        f" {low:>5.2f}-{high:<5.2f} {noise[0]:>6.2f}",
        flush=True,
    )
    return {
        "ids": distribution,
        "batch": batch,
        "ratio": median,
        "lowest": low,
        "highest": high,
        "a_a": noise[0],
        "seconds": seconds,
    }


def chain(lookup: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function
    def run(ids: tf.Tensor) -> tf.Tensor:
        seen = []
        for one in tf.unstack(ids):
            with tf.control_dependencies(seen):
                seen.append(lookup(one)[0, 0])
        return tf.stack(seen)

    return run


if __name__ == "__main__":
    main()
