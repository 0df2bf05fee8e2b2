"""One HpsGroupLookup against a tf.nn.embedding_lookup for each table.

The rows are concatenated behind all of them. "model": a Keras model with an Embedding for each feature, in
the hands of swap_embeddings.
"""

import tempfile

import _axes
import _measure
import _tables
import keras
import numpy as np
import tensorflow as tf

import tf_hps

DIM = 32


def main() -> None:
    axes = _axes.arguments(__doc__)
    _tables.use_two_threads()
    tables, rows = axes.group
    report = _measure.Report("group_lookup", f"HpsGroupLookup of {tables} tables")
    inputs = [keras.Input((), dtype="int64", name=f"f{i}") for i in range(tables)]
    layers = [keras.layers.Embedding(rows, DIM, name=f"e{i}") for i in range(tables)]
    outputs = [layer(one) for layer, one in zip(layers, inputs, strict=True)]
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    with tempfile.TemporaryDirectory() as folder:
        served = tf_hps.swap_embeddings(model, folder)
        (group,) = [
            layer for layer in served.layers if isinstance(layer, tf_hps.layers.HpsEmbeddingGroup)
        ]
        found = {layer.table.name: layer.table for layer in group.layers.values()}
        for table in found.values():
            table.wait_for_preload()
        apart = tf_hps.swap_embeddings(model, folder, group=False)
        for samples in sorted({axes.samples // 8, axes.samples, axes.samples * 8}):
            compare(report, axes, samples, layers, found, model, served, apart)
    report.finish()


def compare(report, axes, samples, layers, tables, model, served, apart):
    # Ten batches in a chain: the call of a function costs as much as the lookups of one.
    random = np.random.default_rng(1)
    rows = layers[0].input_dim
    batches = tf.constant(random.integers(0, rows, (10, len(layers), samples)))
    names = [layer.name for layer in layers]

    def calls(run):
        @tf.function
        def chain(batches):
            seen = []
            for ids in tf.unstack(batches):
                with tf.control_dependencies(seen):
                    seen = [run(tf.unstack(ids))[0, 0]]
            return seen

        return lambda: chain(batches)

    def dense_rows(ids):
        found = zip(layers, ids, strict=True)
        return tf.concat([tf.nn.embedding_lookup(e._embeddings.value, one) for e, one in found], 1)

    def group_rows(ids):
        found = tf_hps.embedding_lookup_group(tables, dict(zip(names, ids, strict=True)))
        return tf.concat(list(found.values()), 1)

    def rows_one_by_one(ids):
        found = zip(names, ids, strict=True)
        return tf.concat([tf_hps.embedding_lookup(tables[name], one) for name, one in found], 1)

    first = tf.unstack(batches[0])
    np.testing.assert_array_equal(served(first), dense_rows(first))
    np.testing.assert_array_equal(served(first), model(first))
    items = 10 * samples * len(layers)
    dense = calls(dense_rows)
    for what, ours, peers in (
        ("op", group_rows, {"HpsLookups": calls(rows_one_by_one)}),
        ("model", served, {"group=False": calls(apart)}),
    ):
        report.compare(
            {"what": what, "samples": samples},
            calls(ours),
            {"tf.nn": dense, **peers},
            axes.rounds,
            20,
            items,
        )


if __name__ == "__main__":
    main()
