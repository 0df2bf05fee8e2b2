"""Lookups that wait for the stores so long and no longer."""

import numpy as np
import pytest
import tensorflow as tf
from redis_server import port_of, redis_server

import tf_hps


def table_over(store, **options):
    """A table above the store's RocksDB that preloads nothing."""
    config = tf_hps.Config(
        memory=tf_hps.MemoryConfig(preload=False),
        rocksdb=tf_hps.RocksdbConfig(path=str(store)),
        tables={"movie_id": tf_hps.TableConfig(**options)},
    )
    return tf_hps.Table("movie_id", config)


@pytest.fixture
def store(tmp_path):
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    with tf_hps.store.StoreWriter(tmp_path / "store") as writer:
        writer.write_table("movie_id", tf_hps.store.from_arrays(rows))
    return tmp_path / "store"


def test_rows_that_are_there_in_time(store):
    table = table_over(store, miss_deadline_us=60_000_000)
    rows, is_degraded = tf_hps.embedding_lookup_until_deadline(table, [[1, 99], [3, 1]])
    assert not is_degraded.numpy().any() and is_degraded.shape == (2, 2)
    np.testing.assert_array_equal(rows[0, 0], [4, 5, 6, 7])
    np.testing.assert_array_equal(rows[0, 1], np.zeros(4))


def test_a_redis_that_hangs_holds_no_lookup(tmp_path):
    with redis_server(tmp_path) as redis:
        config = tf_hps.Config(
            memory=tf_hps.MemoryConfig(preload=False, capacity_rows=8),
            # Lookups that wait side by side have a connection each, which say hello to a server that hangs.
            redis=tf_hps.RedisConfig(
                url=f"redis://127.0.0.1:{port_of(redis)}",
                timeout_ms=20_000,
                connect_timeout_ms=20_000,
            ),
            tables={"movie_id": tf_hps.TableConfig(embedding_dim=4, miss_deadline_us=50_000)},
        )
        table = tf_hps.Table("movie_id", config)
        table.insert(np.arange(100), np.ones((100, 4), np.float32))
        lookup = tf.function(lambda ids: tf_hps.embedding_lookup_until_deadline(table, ids))
        lookup(tf.range(100))  # traced
        redis.client_pause(1500, all=True)
        rows, is_degraded = lookup(tf.range(100))
        late = is_degraded.numpy()
        assert late.any()
        np.testing.assert_array_equal(rows, np.where(late[:, np.newaxis], 0, np.ones((100, 4))))
        assert table.stats()["degraded_rows"] == late.sum()
        while is_degraded.numpy().any():
            rows, is_degraded = lookup(tf.range(100))
        np.testing.assert_array_equal(rows, np.ones((100, 4)))


def test_ragged_ids(store):
    table = table_over(store, miss_deadline_us=60_000_000)
    ids = tf.ragged.constant([[1], [2, 3]], dtype=tf.int64)
    rows, is_degraded = tf_hps.embedding_lookup_until_deadline(table, ids)
    assert rows.shape == (2, None, 4) and is_degraded.to_list() == [[False], [False, False]]


def test_a_saved_model_says_it_too_and_is_not_grouped(store, tmp_path):
    class Model(tf.Module):
        def __init__(self):
            self.tables = [table_over(store, miss_deadline_us=60_000_000) for _ in range(2)]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def __call__(self, ids):
            found = [tf_hps.embedding_lookup_until_deadline(table, ids) for table in self.tables]
            return {"rows": found[0][0], "late": found[1][1]}

    model = Model()
    tf_hps.export(model, tmp_path / "model", signatures=model.__call__)
    loaded = tf_hps.load(tmp_path / "model")
    result = loaded.signatures["serving_default"](ids=tf.constant([2, 3], tf.int64))
    np.testing.assert_array_equal(result["rows"], [[8, 9, 10, 11], [12, 13, 14, 15]])
    np.testing.assert_array_equal(result["late"], [False, False])


@pytest.mark.parametrize("deadline", [0, -1, 1.5, "1"])
def test_a_bad_deadline_is_named(deadline):
    with pytest.raises((ValueError, TypeError), match="miss_deadline_us"):
        tf_hps.TableConfig(miss_deadline_us=deadline)
