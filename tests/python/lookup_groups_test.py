"""Lookups of exported functions in one op."""

import collections
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_models import Dlrm, dlrm_batch
from tables import filled_table, memory_config
from tensorflow.core.protobuf import saved_model_pb2

import tf_hps
from tf_hps.saved_model.function_edges import in_order
from tf_hps.saved_model.lookup_groups import group_lookups


def lookups_in(saved_model):
    """How often each lookup op stands in the functions of a SavedModel."""
    content = (pathlib.Path(saved_model) / "saved_model.pb").read_bytes()
    proto = saved_model_pb2.SavedModel.FromString(content)
    (meta_graph,) = proto.meta_graphs
    ops = [node.op for f in meta_graph.graph_def.library.function for node in f.node_def]
    return {op: n for op, n in collections.Counter(ops).items() if op.endswith("Lookup")}


def test_a_subclassed_model_is_grouped_when_it_is_exported(tmp_path):
    keras.utils.set_random_seed(3)
    model, batch = Dlrm(), dlrm_batch()
    expected = model(batch)
    served = tf_hps.swap_embeddings(model, str(tmp_path / "store"))
    assert tf_hps.export(served, tmp_path / "apart", group=False, verbose=False) == ()
    groups = tf_hps.export(served, tmp_path / "1", verbose=False)
    assert {len(group.lookups) for group in groups} == {5}
    assert "5 lookups in one op: " in str(groups[0]) and "/genre_1/HpsLookup" in str(groups[0])
    assert lookups_in(tmp_path / "1") == {"HpsGroupLookup": len(groups)}
    assert lookups_in(tmp_path / "apart") == {"HpsLookup": 5 * len(groups)}
    # Keras exports what a subclassed model was called with as float32.
    inputs = {name: tf.constant(value, tf.float32) for name, value in batch.items()}
    loaded = [tf_hps.load(tmp_path / name) for name in ("1", "apart")]
    together, apart = (one.serve(inputs) for one in loaded)
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_allclose(together, expected, rtol=1e-6)
    restored = tf_hps.restore_embeddings(served)
    np.testing.assert_array_equal(restored(batch), expected)


class Lookups(tf.Module):
    """Everything that a pass over a graph could break."""

    def __init__(self):
        super().__init__()
        self.table = filled_table(np.arange(100))
        self.halves = filled_table(np.arange(100), memory_config(), dtype="float16")
        self.nested = tf.function(self._find)

    def _find(self, ids):
        return tf_hps.embedding_lookup(self.table, ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.bool)])
    def __call__(self, ids, condition):
        one, two = self._find(ids), self._find(tf.cast(ids, tf.int32)[:, tf.newaxis] + 1)
        behind = self._find(tf.cast(one[:, 0], tf.int64) + 2)
        also_behind = self._find(tf.cast(two[:, 0, 0], tf.int64) + 3)
        chosen = tf.cond(
            condition, lambda: self._find(ids) + self._find(ids + 4), lambda: self.nested(ids)
        )
        total = tf.zeros([4])
        for i in tf.range(3):
            total += tf.reduce_sum(self._find(ids + tf.cast(i, tf.int64)), 0)
        return {
            "one": one,
            "two": two,
            "behind": behind,
            "also_behind": also_behind,
            "halves": tf_hps.embedding_lookup(self.halves, ids),
            "chosen": chosen,
            "nested": self.nested(ids + 5),
            "total": total,
        }


def test_what_waits_branches_loops_and_calls_is_as_before(tmp_path):
    module = Lookups()
    arguments = [(tf.constant([3, 8], tf.int64), tf.constant(c)) for c in (True, False)]
    expected = [module(*these) for these in arguments]
    groups = tf_hps.export(module, tmp_path / "1")
    # The two first ones, the two that wait for them, and those in one branch of the condition.
    assert [len(group.lookups) for group in groups] == [2, 2, 2]
    loaded = tf_hps.load(tmp_path / "1")
    for these, answer in zip(arguments, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, loaded(*these), answer)


def test_control_dependencies_go_with_their_lookups():
    table = filled_table([1, 2])

    @tf.function
    def update_between(ids):
        first = tf_hps.embedding_lookup(table, ids)
        other = tf_hps.embedding_lookup(table, ids + 1)
        with tf.control_dependencies([first, other]):
            done = tf.no_op(name="between")
        with tf.control_dependencies([done]):
            again = [tf_hps.embedding_lookup(table, ids) for _ in range(2)]
        return first + other + again[0] + again[1]

    ids = tf.TensorSpec([None], tf.int64)
    function = update_between.get_concrete_function(ids).function_def
    before = [node.name for node in function.node_def if node.op == "HpsLookup"]
    groups = group_lookups(function)
    assert sorted(name for group in groups for name in group.lookups) == sorted(before)
    assert [len(group.lookups) for group in groups] == [2, 2]
    order = in_order(function)
    first, last = (n for n in order if n.startswith("hps_group_lookup"))
    assert order.index(first) < order.index("between") < order.index(last)
    nodes = {node.name: node for node in function.node_def}
    assert list(nodes["between"].input) == [f"^{first}"]
    assert list(nodes[last].input)[-1] == "^between"


def test_a_loop_of_nodes_is_an_error():
    function = tf.function(lambda x: x + 1).get_concrete_function(1.0).function_def
    function.node_def[0].input.append("^" + function.node_def[0].name)
    with pytest.raises(ValueError, match="has a loop among its nodes"):
        in_order(function)
