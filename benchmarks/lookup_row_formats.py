"""HpsLookup of narrow rows, decoded to float32, against tf.nn.embedding_lookup of float32 rows.

The table is larger than any cache: what narrow rows save is memory traffic.
"""

import gc

import _axes
import _chains
import _measure
import _tables
import tensorflow as tf

import tf_hps


def main() -> None:
    axes = _axes.arguments(__doc__)
    _chains.use_two_threads()
    report = _measure.Report("lookup_row_formats", "HpsLookup, float32 out")
    rows, embedding_dim = axes.large
    variable = _tables.dense(rows, embedding_dim)
    dense = _chains.chain(lambda one: tf.nn.embedding_lookup(variable, one))
    for row_format in ("float32", "bfloat16", "float16", "int8"):
        table = _tables.in_memory(variable, row_format)
        _tables.print_memory(table)
        hps = _chains.chain(lambda one, table=table: tf_hps.embedding_lookup(table, one))
        for distribution in _axes.DISTRIBUTIONS:
            batch, lookups = axes.batches[-1], 8
            ids = _axes.draw_ids(distribution, rows, lookups * batch).reshape(lookups, batch)
            ids = tf.constant(ids)
            case = {"row_format": row_format, "ids": distribution, "batch": batch}
            peers = {"tf.nn, float32": lambda ids=ids: dense(ids)}
            ours = lambda ids=ids, hps=hps: hps(ids)  # noqa: E731
            report.compare(case, ours, peers, axes.rounds, 1, lookups * batch)
        del table, hps, ours
        gc.collect()
    report.finish()


if __name__ == "__main__":
    main()
