"""HpsLookup from the memory store against tf.nn.embedding_lookup and tf.gather.

Rows are float32, on both sides; "with matmul" puts a product with a 64 x 16 matrix behind both.
"""

import gc

import _axes
import _measure
import _tables
import tensorflow as tf

import tf_hps


def main() -> None:
    axes = _axes.arguments(__doc__)
    _tables.use_two_threads()
    report = _measure.Report("lookup", "HpsLookup, float32 rows in memory")
    for rows, embedding_dim in axes.tables:
        variable = _tables.dense(rows, embedding_dim)
        # As a tensor: once a variable was looked up in by tf.nn, every read of it is a copy of all of it.
        value = variable.read_value()
        table = _tables.in_memory(variable)
        _tables.print_memory(table)
        weights = tf.random.stateless_normal((embedding_dim, 16), (3, 4))
        for distribution in _axes.DISTRIBUTIONS:
            for batch in axes.batches:
                # More short ones, for the call of a function costs as much as some of them.
                lookups = 64 if batch <= 1024 else 8
                inputs = max(1, _axes.FRESH_IDS // (lookups * batch))
                ids = _axes.draw_ids(distribution, rows, inputs * lookups * batch)
                ids = [tf.constant(one) for one in ids.reshape(inputs, lookups, batch)]
                for behind in (None, weights):
                    compare(report, axes, variable, value, table, distribution, ids, behind)
        del variable, value, table
        gc.collect()
    report.finish()


def compare(report, axes, variable, value, table, distribution, ids, weights):
    behind = None if weights is None else lambda found: tf.matmul(found, weights)
    dense = _tables.chain(lambda one: tf.nn.embedding_lookup(variable, one), behind)
    hps = _tables.chain(lambda one: tf_hps.embedding_lookup(table, one), behind)
    tf.debugging.assert_equal(dense(ids[0]), hps(ids[0]))
    peers = {"tf.nn": _tables.in_turn(dense, ids)}
    if behind is None:
        # What Keras makes of an Embedding: a gather from the variable's value.
        gather = _tables.chain(lambda one: tf.gather(value, one))
        peers["tf.gather"] = _tables.in_turn(gather, ids)
    lookups, batch = ids[0].shape
    case = {
        "rows": f"{variable.shape[0] // 1000}k x {variable.shape[1]}",
        "ids": distribution,
        "batch": batch,
        "behind": "-" if behind is None else "matmul",
    }
    report.compare(
        case,
        _tables.in_turn(hps, ids),
        peers,
        axes.rounds,
        max(1, 300_000 // (lookups * batch)),
        lookups * batch,
    )


if __name__ == "__main__":
    main()
