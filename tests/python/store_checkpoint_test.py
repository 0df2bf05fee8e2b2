"""Rows of checkpoints that TensorFlow wrote."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tf_hps.store.checkpoint_bundle import CheckpointBundle
from tf_hps.store.checkpoint_source import from_checkpoint

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def everything(source):
    batches = list(source)
    return np.concatenate([keys for keys, _ in batches]), np.concatenate(
        [rows for _, rows in batches]
    )


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with many variables: its index has prefixes that are shared, and restarts."""
    module = tf.Module()
    module.tables = [tf.Variable(np.full((3, 2), i, np.float32)) for i in range(100)]
    module.large = tf.Variable(tf.random.stateless_normal((70_000, 5), (1, 2)))
    module.half = tf.Variable(tf.random.stateless_normal((9, 4), (3, 4), dtype=tf.bfloat16))
    module.steps = tf.Variable([1, 2])
    return module, tf.train.Checkpoint(m=module).write(str(tmp_path / "saved"))


def test_rows_of_every_variable_come_back(saved):
    module, prefix = saved
    for name, variable in (("m/large", module.large), ("m/half" + SUFFIX, module.half)):
        source = from_checkpoint(prefix, name)
        keys, rows = everything(source)
        assert (source.rows, source.embedding_dim) == tuple(variable.shape)
        assert source.row_format == variable.dtype.name
        assert (keys == np.arange(variable.shape[0])).all() and (rows == variable.numpy()).all()
    for i in (0, 7, 99):
        assert (everything(from_checkpoint(prefix, f"m/tables/{i}"))[1] == i).all()


def test_every_variable_is_listed_with_its_shape(saved):
    _, prefix = saved
    listed = {variable.name: variable.shape for variable in CheckpointBundle(prefix).variables()}
    expected = {name: tuple(shape) for name, shape in tf.train.list_variables(prefix)}
    assert listed == expected


def partitioned_checkpoint(folder, rows, axis):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable(
            "scope/emb",
            (rows, 3),
            partitioner=tf.compat.v1.fixed_size_partitioner(3, axis=axis),
            initializer=tf.compat.v1.random_normal_initializer(seed=1),
        )
        session.run(tf.compat.v1.global_variables_initializer())
        values = np.concatenate(session.run(list(variable)), axis=axis)
        return values, tf.compat.v1.train.Saver([variable]).save(session, str(folder / "parts"))


# Parts that start at small and at large numbers have keys of different lengths.
@pytest.mark.parametrize("rows", [7, 190, 25_000, 200_000, 4_000_000])
def test_variables_partitioned_by_rows_are_put_together(tmp_path, rows):
    values, prefix = partitioned_checkpoint(tmp_path, rows, axis=0)
    keys, found = everything(from_checkpoint(prefix, "scope/emb"))
    assert (keys == np.arange(rows)).all() and (found == values).all()


def test_variables_partitioned_by_columns_are_an_error(tmp_path):
    _, prefix = partitioned_checkpoint(tmp_path, 7, axis=1)
    with pytest.raises(
        ValueError, match="scope/emb is partitioned by columns; by rows can be read"
    ):
        from_checkpoint(prefix, "scope/emb")


def test_the_checkpoint_of_a_saved_model_is_found(tmp_path):
    module = tf.Module()
    module.table = tf.Variable(np.ones((4, 2), np.float32))
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert everything(from_checkpoint(tmp_path / "model", "table"))[1].shape == (4, 2)


def test_an_unknown_variable_lists_the_nearest(saved):
    _, prefix = saved
    message = r"no variable 'm/larg'. Its variables with two dimensions: m/large \[70000, 5\], "
    with pytest.raises(ValueError, match=message):
        from_checkpoint(prefix, "m/larg")


def test_a_variable_that_is_no_table_says_what_it_is(saved):
    _, prefix = saved
    with pytest.raises(
        ValueError, match=r"m/steps/.* has shape \[2\] and is of type another; rows are"
    ):
        from_checkpoint(prefix, "m/steps")


def test_a_checkpoint_that_is_not_there_or_damaged_is_named(tmp_path, saved):
    _, prefix = saved
    with pytest.raises(
        FileNotFoundError, match=r"none\.index is not there; a checkpoint is named by"
    ):
        from_checkpoint(tmp_path / "none", "x")
    index = prefix + ".index"
    whole = pathlib.Path(index).read_bytes()
    for content in (b"", whole[:-1], whole[100:]):
        pathlib.Path(index).write_bytes(content)
        with pytest.raises(ValueError, match=r"saved\.index: .*(cut short|damaged|compressed)"):
            from_checkpoint(prefix, "m/large")


def test_a_data_file_that_was_cut_is_named(saved):
    module, prefix = saved
    data = prefix + ".data-00000-of-00001"
    ends = {v.name: v.offset + v.size for v in CheckpointBundle(prefix).variables()}
    # Variables stand in the file in TensorFlow's order: what is before the cut stays readable.
    first, second = sorted(("m/large", "m/half"), key=lambda name: ends[name + SUFFIX])
    end = ends[second + SUFFIX]
    os.truncate(data, end - 1)
    with pytest.raises(
        ValueError, match=rf"is missing or cut short: .*, {second}/.* ends at {end}"
    ):
        from_checkpoint(prefix, second)
    expected = getattr(module, first.removeprefix("m/")).numpy()
    assert (everything(from_checkpoint(prefix, first))[1] == expected).all()
    os.remove(data)
    with pytest.raises(ValueError, match="is missing or cut short: it has 0 bytes"):
        from_checkpoint(prefix, first)


def test_rows_are_read_in_slices(tmp_path, saved, monkeypatch):
    _, prefix = saved
    sizes = []
    read = np.fromfile
    monkeypatch.setattr(
        np, "fromfile", lambda *args, **named: sizes.append(args[2]) or read(*args, **named)
    )
    everything(from_checkpoint(prefix, "m/large"))
    assert sizes == [65536 * 5, (70_000 - 65536) * 5]
