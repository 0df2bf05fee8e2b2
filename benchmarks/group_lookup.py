"""One HpsGroupLookup against a tf.nn.embedding_lookup for each table.

"op": the lookups alone. "model": a Keras model with an Embedding for each feature, before and after
swap_embeddings; both concatenate the rows.
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
    ids = [
        tf.constant(np.random.default_rng(i).integers(0, layer.input_dim, samples))
        for i, layer in enumerate(layers)
    ]
    by_name = {layer.name: one for layer, one in zip(layers, ids, strict=True)}

    def calls(run):
        # Ten in a chain: the call of a function costs as much as the lookups in it.
        @tf.function
        def chain():
            seen = []
            for _ in range(10):
                with tf.control_dependencies(seen):
                    seen = [rows[0, 0] for rows in run()]
            return seen

        return chain

    def dense_rows():
        return [
            tf.nn.embedding_lookup(layer._embeddings.value, one)
            for layer, one in zip(layers, ids, strict=True)
        ]

    def group_rows():
        return list(tf_hps.embedding_lookup_group(tables, by_name).values())

    def rows_one_by_one():
        return [tf_hps.embedding_lookup(tables[name], one) for name, one in by_name.items()]

    np.testing.assert_array_equal(served(ids), model(ids))
    items = 10 * samples * len(layers)
    report.compare(
        {"what": "op", "samples": samples},
        calls(group_rows),
        {"tf.nn": calls(dense_rows), "HpsLookups": calls(rows_one_by_one)},
        axes.rounds,
        20,
        items,
    )
    report.compare(
        {"what": "model", "samples": samples},
        calls(lambda: [served(ids)]),
        {"Embeddings": calls(lambda: [model(ids)]), "group=False": calls(lambda: [apart(ids)])},
        axes.rounds,
        20,
        items,
    )


if __name__ == "__main__":
    main()
