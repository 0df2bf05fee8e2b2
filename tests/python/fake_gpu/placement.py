"""Where handles and lookups are, and what they give."""

import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

import tf_hps

GPU = "/job:localhost/replica:0/task:0/device:GPU:"


def new_table(deployment: str, device: str | None = None, **options) -> tf_hps.Table:
    config = tf_hps.Config(
        deployment=deployment,
        memory=tf_hps.MemoryConfig(),
        gpu_cache=tf_hps.GpuCacheConfig(capacity_rows=300, **options.pop("gpu_cache", {})),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=4, **options)},
    )
    table = tf_hps.Table("movie_id", config, device=device)
    table.insert([1, 2, -3], [[1.0] * 4, [2.0] * 4, [3.0] * 4])
    return table


def first(rows: tf.Tensor) -> list[float]:
    """An element of each row, on whatever device they are."""
    with tf.device("/CPU:0"):
        rows = tf.identity(rows).numpy()
    assert (rows == rows[..., :1]).all()
    return rows[..., 0].astype(float).tolist()


def cache(table: tf_hps.Table, device: int = 0) -> dict:
    return next(d for d in table.stats()["devices"] if d["device"] == f"/GPU:{device}")


def test_a_table_is_on_the_first_gpu_by_itself():
    table = new_table("by_itself")
    assert table.resource_handle.device == GPU + "0"
    rows = tf_hps.embedding_lookup(table, [[1, 2], [9, -3]])
    assert rows.device == GPU + "0"
    assert first(rows) == [[1, 2], [0, 3]]
    assert cache(table)["misses"] == 4
    assert first(tf_hps.embedding_lookup(table, [1, 9])) == [1, 0]
    assert cache(table)["misses"] == 4


@pytest.mark.parametrize("ids_dtype", [tf.int32, tf.int64])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_type_of_ids_and_rows(ids_dtype, dtype):
    table = new_table(f"types_{dtype}_{ids_dtype.name}")
    rows = tf_hps.ops.lookup(
        table.resource_handle, tf.constant([2, -3, 8], ids_dtype), 4, tf.as_dtype(dtype)
    )
    assert rows.dtype == dtype and rows.device == GPU + "0"
    assert first(rows) == [2, 3, 0]


def test_words_are_hashed_beside_the_gpu():
    table = new_table("words")
    table.insert(tf_hps.word_keys(["heat", "", "é"]), [[4.0] * 4, [5.0] * 4, [6.0] * 4])
    words = tf.constant([["heat", "alien"], ["", "é"]])
    for _ in range(2):
        rows = tf_hps.embedding_lookup(table, words)
        assert rows.device == GPU + "0" and first(rows) == [[4, 0], [5, 6]]
    assert first(tf_hps.embedding_lookup(table, tf.constant([], tf.string))) == []

    @tf.function
    def look_up(words, numbers):
        by_word, by_number, again = tf_hps.embedding_lookup_group(
            {0: table, 1: table, 2: table}, {0: words, 1: numbers, 2: words[0]}
        ).values()
        bags = tf.RaggedTensor.from_row_lengths(tf.reshape(words, [-1]), [3, 0, 1])
        return (
            by_word,
            by_number,
            again,
            tf_hps.embedding_lookup_sparse(table, bags, None, combiner="sum"),
        )

    found = look_up(words, tf.constant([2, 8]))
    assert all(rows.device == GPU + "0" for rows in found)
    assert [first(rows) for rows in found] == [[[4, 0], [5, 6]], [2, 0], [4, 0], [9, 0, 6]]
    ranged = new_table("ranged_words", out_of_range="error", vocabulary_size=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not in"):
        first(tf_hps.embedding_lookup(ranged, ["heat"]))


def test_two_gpus_have_a_cache_each_and_follow_updates():
    tables = [new_table("two_gpus", device=f"/GPU:{d}") for d in (0, 1)]
    for d, table in enumerate(tables):
        rows = tf_hps.embedding_lookup(table, [1, 2])
        assert rows.device == GPU + str(d)
        assert first(rows) == [1, 2]
    tables[0].insert([1], [[5.0] * 4])
    tables[0].erase([2])
    for d, table in enumerate(tables):
        assert first(tf_hps.embedding_lookup(table, [1, 2])) == [5, 0]
        assert cache(table, d)["misses"] == 2, "the new row was brought there"
    tables[0].refresh()


def test_an_enclosing_device_and_the_cpu_are_respected():
    with tf.device("/GPU:1"):
        assert new_table("enclosed").resource_handle.device == GPU + "1"
    table = new_table("on_the_cpu", device="/CPU:0")
    rows = tf_hps.embedding_lookup(table, [1])
    assert "CPU" in rows.device and first(rows) == [1]
    assert table.stats()["devices"] == []


def test_inside_a_function_the_lookup_is_on_the_gpu():
    table = new_table("function")

    @tf.function
    def look_up(ids):
        return tf_hps.embedding_lookup(table, ids)

    for _ in range(2):
        rows = look_up(tf.constant([1, 2]))
        assert rows.device == GPU + "0" and first(rows) == [1, 2]


def test_groups_and_bags():
    table = new_table("groups_and_bags")
    handle = table.resource_handle
    one, two = tf_hps.ops.group_lookup(
        [handle, handle], [tf.constant([1, 9]), tf.constant([[2]], tf.int64)], [4, 4]
    )
    assert first(one) == [1, 0] and first(two) == [[2]]
    bags = tf_hps.ops.lookup_combine(
        handle,
        tf.constant([1, 2, 7, -3]),
        tf.constant([0, 2, 2, 4], tf.int64),
        tf.constant([1.0, 2.0, 1.0, 1.0]),
        4,
        "sum",
    )
    assert bags.device == GPU + "0" and first(bags) == [5, 0, 3]
    with pytest.raises(tf.errors.InvalidArgumentError, match="row_splits never fall"):
        tf_hps.ops.lookup_combine(
            handle, tf.constant([1]), tf.constant([0, 1, 0, 1], tf.int64), None, 4, "sum"
        )


def test_ids_out_of_range_are_an_error():
    table = new_table("range", out_of_range="wrap_negatives", vocabulary_size=3)
    table.insert([0], [[7.0] * 4])
    assert first(tf_hps.embedding_lookup(table, [-3, 1, -1])) == [7, 1, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"ids\[1\] = 3 is not in \[-3, 3\)"):
        tf_hps.embedding_lookup(table, [1, 3, 5])
    assert first(tf_hps.embedding_lookup(table, tf.constant([0], tf.int64))) == [7]


def test_a_session_puts_handle_and_lookup_on_the_gpu():
    held = new_table("session")  # its rows are in memory
    with tf.Graph().as_default():
        table = tf_hps.Table("movie_id", held.config_path)
        ids = tf.compat.v1.placeholder(tf.int64, [None])
        rows = tf_hps.embedding_lookup(table, ids)
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        metadata = tf.compat.v1.RunMetadata()
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.tables_initializer())
            found = session.run(rows, {ids: [2, 1, 8]}, options, metadata)
            assert found[:, 0].tolist() == [2, 1, 0]
        where = {node.op: node.device for graph in metadata.partition_graphs for node in graph.node}
    assert where["HpsLookup"] == where["HpsTableHandle"] == GPU + "0"


class Model(tf.Module):
    def __init__(self, table: tf_hps.Table) -> None:
        self.table = table

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def __call__(self, ids):
        return tf_hps.embedding_lookup(self.table, ids)


def test_a_saved_model_is_loaded_onto_a_gpu(tmp_path: pathlib.Path):
    model = Model(new_table("saved"))
    tf.saved_model.save(model, str(tmp_path / "1"), signatures=model.__call__)
    loaded = tf_hps.load(tmp_path / "1")
    rows = loaded(tf.constant([1, 2, 9], tf.int64))
    assert rows.device == GPU + "0" and first(rows) == [1, 2, 0]
    with tf.device("/GPU:1"):  # fake GPUs do not copy to each other
        other = tf_hps.load(tmp_path / "1")
        rows = other(tf.constant([1, 2, 9], tf.int64))
        assert rows.device == GPU + "1" and first(rows) == [1, 2, 0]
        del other
    assert {d["device"] for d in model.table.stats()["devices"]} == {"/GPU:0", "/GPU:1"}


def test_a_saved_model_in_a_session_is_on_the_gpu(tmp_path: pathlib.Path):
    model = Model(new_table("saved_session"))
    tf.saved_model.save(model, str(tmp_path / "1"), signatures=model.__call__)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "1"))
        signature = loaded.signature_def["serving_default"]
        (rows,) = signature.outputs.values()
        (ids,) = signature.inputs.values()
        found = session.run(rows.name, {ids.name: [1, 9, -3]})
    assert found[:, 0].tolist() == [1, 0, 3]
    assert cache(model.table)["lookups"] == 1, "not on the CPU"


def test_concurrent_calls():
    table = new_table("concurrent")
    table.insert(np.arange(1000), np.repeat(np.arange(1000.0, dtype=np.float32), 4).reshape(-1, 4))

    @tf.function
    def look_up(ids):
        return tf_hps.embedding_lookup(table, ids)

    failed = []

    def run(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(10):
            ids = random.integers(0, 1000, 40)
            if first(look_up(tf.constant(ids))) != ids.tolist():
                failed.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_without_a_wait_rows_come_later():
    table = new_table("no_wait", gpu_cache={"hit_rate_threshold": 0})
    assert first(tf_hps.embedding_lookup(table, [1, 2])) == [0, 0]
    for _ in range(1000):
        if first(tf_hps.embedding_lookup(table, [1, 2])) == [1, 2]:
            break
    else:
        pytest.fail(f"the rows never came: {table.stats()}")
    assert cache(table)["default_rows_given"] >= 2


def test_a_table_destroyed_with_calls_in_flight():
    for n in range(5):
        table = new_table(f"destroyed_{n}", gpu_cache={"hit_rate_threshold": n % 2})
        rows = [tf_hps.embedding_lookup(table, [1, 2, n, 50 + n]) for _ in range(4)]
        del table
        assert all(first(r)[:2] in ([1, 2], [0, 0]) for r in rows)
