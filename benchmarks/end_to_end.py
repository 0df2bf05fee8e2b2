"""A whole request by its size: ids to scores, the model's dense layers too, against what a table can be otherwise.

32 ids a sample, summed, through dense layers of 512, 256 and 1. Ours is a memory tier for a tenth of the rows over
RocksDB, and ids are zipf 1.05. Peers: a tf.Variable and a MutableHashTable, both with all rows in memory; RocksDB
without a tier above it; and redis-py, whose rows are fed to the model.
"""

import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))

import _axes
import _chains
import _measure
import _models
import _tables
import numpy as np
import tensorflow as tf
from redis_server import redis_server

import tf_hps
from tf_hps.store import StoreWriter, from_arrays

IDS = 32  # of a sample
BATCHES = (32, 256, 2048, 16384, 131072)
INSERTED_AT_ONCE = 1 << 16


def main() -> None:
    axes = _axes.arguments(__doc__)
    _chains.use_two_threads()
    rows, dim = axes.rows, axes.embedding_dim
    report = _measure.Report("end_to_end", "a request, tables of tf_hps")
    layers = _models.mlp([dim, 512, 256, 1])
    variable = _tables.dense(rows, dim)
    values = variable.numpy()

    def scores(found: tf.Tensor) -> tf.Tensor:
        bags = tf.reduce_sum(tf.reshape(found, [-1, IDS, dim]), 1)
        return tf.sigmoid(_models.through(layers, bags))[:, 0]

    mutable = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, tf.zeros([dim]))
    for begin in range(0, rows, INSERTED_AT_ONCE):
        part = values[begin : begin + INSERTED_AT_ONCE]
        mutable.insert(tf.range(begin, begin + len(part), dtype=tf.int64), part)
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        store = f"{folder}/store"
        with StoreWriter(store) as writer:
            writer.write_table("t", from_arrays(values))
        fill(redis, values)
        tiered = open_table(store, "tiered", tf_hps.MemoryConfig(capacity_rows=rows // 10))
        alone = open_table(store, "alone", None)
        with_rows = tf.function(scores, [tf.TensorSpec([None, dim], tf.float32)])

        def redis_py(ids: np.ndarray) -> tf.Tensor:
            found = redis.mget([b"r" + key.tobytes() for key in ids])
            return with_rows(np.frombuffer(b"".join(found), "<f4").reshape(-1, dim))

        kinds = {
            "ours": asked(lambda ids: scores(tf_hps.embedding_lookup(tiered, ids))),
            "tf.Variable": asked(lambda ids: scores(tf.nn.embedding_lookup(variable, ids))),
            "MutableHashTable": asked(lambda ids: scores(mutable.lookup(ids))),
            "RocksDB alone": asked(lambda ids: scores(tf_hps.embedding_lookup(alone, ids))),
            "redis-py": redis_py,
        }
        batches = [batch for batch in BATCHES if batch <= 4 * max(axes.batches)]
        warm(tiered, rows)
        for batch in batches:
            inputs = min(64, max(2, _axes.FRESH_IDS // batch // 4))
            ids = _axes.draw_ids("zipf 1.05", rows, inputs * batch, seed=3).reshape(inputs, batch)
            expected = kinds["tf.Variable"](ids[0])
            for call in kinds.values():
                np.testing.assert_allclose(call(ids[0]), expected, rtol=1e-5)
            turns = {name: in_turn(call, list(ids)) for name, call in kinds.items()}
            ours = turns.pop("ours")
            before = hits(tiered)
            calls = max(1, min(100, 16384 // batch))
            report.compare({"lookups": batch}, ours, turns, min(axes.rounds, 9), calls, batch)
            found, of = (after - b for after, b in zip(hits(tiered), before, strict=True))
            print(f"  memory tier: {found / of:.3f} of the ids")
    report.finish()


def asked(answer: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[np.ndarray], tf.Tensor]:
    return tf.function(answer, [tf.TensorSpec([None], tf.int64)])


def in_turn(call: Callable[[np.ndarray], object], inputs: list[np.ndarray]) -> Callable[[], object]:
    following = itertools.cycle(inputs)
    return lambda: call(next(following))


def open_table(store: str, name: str, memory: tf_hps.MemoryConfig | None) -> tf_hps.Table:
    config = tf_hps.Config(
        deployment=name,
        memory=memory,
        rocksdb=tf_hps.RocksdbConfig(store, read_only=True),
        tables={"t": tf_hps.TableConfig()},
    )
    return tf_hps.Table("t", config)


def warm(table: tf_hps.Table, rows: int) -> None:
    """As in a server that has been asked for a while: its memory tier has the hot rows."""
    for ids in _axes.draw_ids("zipf 1.05", rows, 4 * rows, seed=4).reshape(-1, rows // 50):
        tf_hps.embedding_lookup(table, ids)


def hits(table: tf_hps.Table) -> tuple[int, int]:
    stats = table.stats()
    return stats["tiers"][0]["hits"], stats["keys"]


def fill(redis, values: np.ndarray) -> None:
    for begin in range(0, len(values), INSERTED_AT_ONCE):
        pipe = redis.pipeline(transaction=False)
        for key in range(begin, min(begin + INSERTED_AT_ONCE, len(values))):
            pipe.set(b"r" + np.int64(key).tobytes(), values[key].tobytes())
        pipe.execute()


if __name__ == "__main__":
    main()
