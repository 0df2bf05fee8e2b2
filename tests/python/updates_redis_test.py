"""A stream in Redis, from tf_hps.Publisher to the lookups of a table that follows it."""

import dataclasses
import time

import numpy as np
import pytest
from redis_server import port_of, redis_server
from tables import rocksdb_config

import tf_hps

DIM = 4


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path) as client:
        yield client


def rows(n, value):
    return np.full((n, DIM), value, np.float32)


def test_commits_are_seen_through_redis_and_the_publisher_hears_of_it(server, tmp_path):
    url = f"redis://127.0.0.1:{port_of(server)}"
    updates = tf_hps.UpdatesConfig(source="redis_stream", url=url, reader="here")
    config = dataclasses.replace(
        rocksdb_config(tmp_path / "store"),
        updates=updates,
        redis=tf_hps.RedisConfig(url, timeout_ms=3000, connect_timeout_ms=3000, partitions=2),
    )
    table = tf_hps.Table("movie_id", config)
    generations = {"movie_id": table.generation}
    with tf_hps.Publisher(url, table.deployment, generations, {"part_bytes": 1000}) as trainer:
        for version in range(1, 6):
            trainer.publish("movie_id", np.arange(100), rows(100, version))
            trainer.erase("movie_id", [version])
            position = trainer.commit()
            table.wait_until(position)
            seen = tf_hps.embedding_lookup(table, np.arange(100)).numpy()
            expected = rows(100, version)
            expected[version] = 0
            np.testing.assert_array_equal(seen, expected)
        assert trainer.wait(30) == {"here": position}
        assert trainer.dropped == 0
    (tier,) = [tier for tier in table.stats()["tiers"] if tier["kind"] == "redis"]
    assert tier["errors"] == 0
    heads = [server.get(key) for key in server.keys("{*.*}") if key[-1:] == b"}"]
    assert {head.split()[1].decode() for head in heads} == {position.split(":")[0]}
    assert {int(head.split()[2], 16) for head in heads} == {5}


def test_a_policy_that_may_evict_the_stream_is_refused_at_start(server, tmp_path):
    server.config_set("maxmemory-policy", "allkeys-lru")
    updates = tf_hps.UpdatesConfig(
        source="redis_stream", url=f"redis://127.0.0.1:{port_of(server)}"
    )
    config = dataclasses.replace(rocksdb_config(tmp_path / "store"), updates=updates)
    with pytest.raises(tf_hps.errors.FailedPreconditionError, match=r"allkeys-lru.*volatile"):
        tf_hps.Table("movie_id", config)


def test_what_expired_or_was_evicted_is_not_found_in_redis(server, tmp_path):
    url = f"redis://127.0.0.1:{port_of(server)}"
    config = dataclasses.replace(
        rocksdb_config(tmp_path / "store", ttl_s=1, max_rows=10),
        memory=None,
        updates=tf_hps.UpdatesConfig(source="redis_stream", url=url),
        redis=tf_hps.RedisConfig(url, timeout_ms=3000, connect_timeout_ms=3000, partitions=2),
    )
    table = tf_hps.Table("movie_id", config)
    with tf_hps.Publisher(url, table.deployment, {"movie_id": table.generation}) as trainer:

        def see(keys, published, value):
            if published:
                trainer.publish("movie_id", published, rows(len(published), value))
            table.wait_until(trainer.commit())
            for _ in range(2):  # from the disk, and from Redis
                seen = tf_hps.embedding_lookup(table, keys).numpy()
                table._table.wait_for_promotions()
            return seen[:, 0].tolist()

        assert see(np.arange(10), list(range(10)), 1) == [1] * 10
        assert see(np.arange(12), [10, 11], 2) == [0, 0, *[1] * 8, 2, 2]
        time.sleep(1.1)
        assert see(np.arange(12), [3], 3) == [0, 0, 0, 3, *[0] * 8]
        assert see([3], [], 0) == [3]
    (tier,) = [tier for tier in table.stats()["tiers"] if tier["kind"] == "redis"]
    assert tier["hits"] >= 10 and tier["errors"] == 0
    heads = [server.get(key) for key in server.keys("{*.*}") if key[-1:] == b"}"]
    lineages = {head.split()[1].decode() for head in heads}
    assert len(lineages) == 1 and "~" in lineages.pop(), "the bounds are a part of the rows' state"
