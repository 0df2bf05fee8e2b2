"""HpsLookup against TensorFlow's own key-value tables."""

import _axes
import _chains
import _measure
import _tables
import numpy as np
import tensorflow as tf

import tf_hps


def main() -> None:
    axes = _axes.arguments(__doc__)
    _chains.use_two_threads()
    report = _measure.Report("hash_tables", "HpsLookup, float32 rows in memory")
    variable = _tables.dense(axes.rows, axes.embedding_dim)
    table = _tables.in_memory(variable)
    default = tf.zeros([axes.embedding_dim])
    mutable = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, default)
    dense = tf.lookup.experimental.DenseHashTable(
        tf.int64,
        tf.float32,
        default,
        empty_key=-1,
        deleted_key=-2,
        initial_num_buckets=1 << (2 * axes.rows).bit_length(),
    )
    step = 65536
    for begin in range(0, axes.rows, step):
        rows = variable[begin : begin + step]
        keys = tf.range(begin, begin + rows.shape[0], dtype=tf.int64)
        mutable.insert(keys, rows)
        dense.insert(keys, rows)
    for distribution in _axes.DISTRIBUTIONS:
        for batch in axes.batches[1:3]:
            lookups = 8
            inputs = max(1, _axes.FRESH_IDS // (lookups * batch))
            ids = _axes.draw_ids(distribution, axes.rows, inputs * lookups * batch)
            ids = [tf.constant(one) for one in ids.reshape(inputs, lookups, batch)]
            hps = _chains.chain(lambda one: tf_hps.embedding_lookup(table, one))
            peers = {
                "Mutable": _chains.chain(mutable.lookup),
                "Dense": _chains.chain(dense.lookup),
            }
            for peer in peers.values():
                np.testing.assert_array_equal(peer(ids[0]), hps(ids[0]))
            report.compare(
                {"ids": distribution, "batch": batch},
                _chains.in_turn(hps, ids),
                {name: _chains.in_turn(peer, ids) for name, peer in peers.items()},
                axes.rounds,
                max(1, 65536 // batch // lookups),
                lookups * batch,
            )
    report.finish()


if __name__ == "__main__":
    main()
