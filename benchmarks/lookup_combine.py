"""tf_hps.embedding_lookup_sparse against tf.nn's: bags of 20 ids, combined by their mean."""

import _axes
import _chains
import _measure
import _tables
import numpy as np
import tensorflow as tf

import tf_hps

IDS = 20


def main() -> None:
    axes = _axes.arguments(__doc__)
    _chains.use_two_threads()
    report = _measure.Report("lookup_combine", "tf_hps.embedding_lookup_sparse, mean of 20 ids")
    variable = _tables.dense(axes.rows, axes.embedding_dim)
    table = _tables.in_memory(variable)
    where = np.stack([np.repeat(np.arange(axes.bags), IDS), np.tile(np.arange(IDS), axes.bags)], 1)
    for distribution in _axes.DISTRIBUTIONS:
        ids = _axes.draw_ids(distribution, axes.rows, axes.bags * IDS)
        sparse = tf.SparseTensor(where, ids, (axes.bags, IDS))
        ragged = tf.RaggedTensor.from_row_splits(ids, np.arange(axes.bags + 1) * IDS)
        weights = np.random.default_rng(2).random(len(ids)).astype(np.float32)
        for weighted in (False, True):
            for kind, bags in {"sparse": sparse, "ragged": ragged}.items():
                by = bags.with_values(tf.constant(weights)) if weighted else None
                compare(report, axes, variable, table, distribution, kind, bags, by)
    report.finish()


def compare(report, axes, variable, table, distribution, kind, bags, weights):
    dense = tf.function(
        lambda: tf.nn.embedding_lookup_sparse(variable, bags, weights, combiner="mean")
    )
    hps = tf.function(lambda: tf_hps.embedding_lookup_sparse(table, bags, weights, combiner="mean"))
    np.testing.assert_allclose(dense(), hps(), rtol=1e-4, atol=1e-5)
    case = {
        "ids": distribution,
        "bags": axes.bags,
        "kind": kind,
        "weights": "-" if weights is None else "yes",
    }
    report.compare(case, hps, {"tf.nn": dense}, axes.rounds, 10, axes.bags * IDS)


if __name__ == "__main__":
    main()
