"""One HpsGroupLookup against a tf.nn.embedding_lookup for each table.

The tables have as many rows as the categorical features of Criteo's click logs. Rows are concatenated behind all of them. "model": a Keras model with an Embedding for each feature, in
the hands of swap_embeddings.
"""

import tempfile

import _axes
import _chains
import _measure
import keras
import numpy as np
import tensorflow as tf

import tf_hps

DIM = 32
# Batches in a chain: the call of a function costs as much as the lookups of one.
CHAIN = 10


def main() -> None:
    axes = _axes.arguments(__doc__)
    _chains.use_two_threads()
    report = _measure.Report("group_lookup", f"HpsGroupLookup of {len(axes.group)} tables")
    inputs = [keras.Input((), dtype="int64", name=f"f{i}") for i in range(len(axes.group))]
    layers = [keras.layers.Embedding(r, DIM, name=f"e{i}") for i, r in enumerate(axes.group)]
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
        for distribution in _axes.DISTRIBUTIONS:
            for samples in sorted({axes.samples // 8, axes.samples, axes.samples * 8}):
                batches = draw(axes, distribution, samples)
                case = {"ids": distribution, "samples": samples}
                compare(report, axes, case, batches, layers, found, model, served, apart)
    report.finish()


def draw(axes, distribution, samples):
    """Tensors of [CHAIN, tables, samples] ids."""
    inputs = max(1, _axes.FRESH_IDS // (CHAIN * len(axes.group) * samples))
    ids = [
        _axes.draw_ids(distribution, rows, inputs * CHAIN * samples, seed)
        for seed, rows in enumerate(axes.group)
    ]
    ids = [one.reshape(inputs, CHAIN, samples) for one in ids]
    return [tf.constant(one) for one in np.stack(ids, 2)]


def compare(report, axes, case, batches, layers, tables, model, served, apart):
    names = [layer.name for layer in layers]

    def calls(run):
        @tf.function
        def chain(batches):
            seen = []
            for ids in tf.unstack(batches):
                with tf.control_dependencies(seen):
                    seen = [run(tf.unstack(ids))[0, 0]]
            return seen

        return _chains.in_turn(chain, batches)

    def dense_rows(ids):
        found = zip(layers, ids, strict=True)
        return tf.concat([tf.nn.embedding_lookup(e._embeddings.value, one) for e, one in found], 1)

    def group_rows(ids):
        found = tf_hps.embedding_lookup_group(tables, dict(zip(names, ids, strict=True)))
        return tf.concat(list(found.values()), 1)

    def rows_one_by_one(ids):
        found = zip(names, ids, strict=True)
        return tf.concat([tf_hps.embedding_lookup(tables[name], one) for name, one in found], 1)

    first = tf.unstack(batches[0][0])
    np.testing.assert_array_equal(served(first), dense_rows(first))
    np.testing.assert_array_equal(served(first), model(first))
    items = batches[0].shape.num_elements()
    dense = calls(dense_rows)
    for what, ours, peers in (
        ("op", group_rows, {"HpsLookups": calls(rows_one_by_one)}),
        ("model", served, {"group=False": calls(apart)}),
    ):
        report.compare(
            {"what": what, **case},
            calls(ours),
            {"tf.nn": dense, **peers},
            axes.rounds,
            20,
            items,
        )


if __name__ == "__main__":
    main()
