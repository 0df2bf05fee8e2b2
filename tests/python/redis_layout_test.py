"""The layout of docs/formats.md, written and read with redis-py alone."""

import numpy as np
import pytest
import redis
from redis_server import port_of, redis_server
from tables import rows_of

import tf_hps

MASK = 2**64 - 1


def table_id(deployment, name, generation=""):
    digest = 0xCBF29CE484222325
    for byte in f"{deployment}\n{name}\n{generation}".encode():
        digest = (digest ^ byte) * 0x100000001B3 & MASK
    return f"{digest:016x}"


def partition_of(key, partitions):
    x = (key + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return (x ^ x >> 31) * partitions >> 64


def row_key(identifier, partition, epoch, key):
    order = (key & MASK) ^ 1 << 63
    return f"{{{identifier}.{partition}}}{epoch}:".encode() + order.to_bytes(8, "big")


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path) as client:
        yield client


def config(server: redis.Redis, **options) -> tf_hps.Config:
    return tf_hps.Config(
        deployment="shop/eu",
        redis=tf_hps.RedisConfig(
            f"redis://127.0.0.1:{port_of(server)}",
            timeout_ms=3000,
            connect_timeout_ms=3000,
            **options,
        ),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=4)},
    )


KEYS = [0, 1, -1, 42, 2**63 - 1, -(2**63), 7 << 33]


def test_what_a_table_writes_is_read_with_redis_py(server):
    table = tf_hps.Table("movie_id", config(server, partitions=5))
    table.insert(KEYS, rows_of(KEYS))
    identifier = table_id("shop/eu", "movie_id")
    assert server.get(f"tf_hps/{{{identifier}}}") == b"1 5 float32 4 shop/eu movie_id -"
    for key in KEYS:
        partition = partition_of(key, 5)
        epoch, lineage, position = server.get(f"{{{identifier}.{partition}}}").decode().split()
        assert (lineage, position) == ("sole", "0" * 32)
        stored = server.get(row_key(identifier, partition, epoch, key))
        np.testing.assert_array_equal(np.frombuffer(stored, "<f4"), rows_of([key])[0])
    table.erase([42])
    partition = partition_of(42, 5)
    epoch = server.get(f"{{{identifier}.{partition}}}").split()[0].decode()
    assert server.get(row_key(identifier, partition, epoch, 42)) is None


def test_what_redis_py_writes_is_found_by_a_table(server):
    identifier = table_id("shop/eu", "movie_id")
    server.set(f"tf_hps/{{{identifier}}}", "1 3 float32 4 shop/eu movie_id -")
    for partition in range(3):
        server.set(f"{{{identifier}.{partition}}}", f"17 sole {0:032x}")
    for key, row in zip(KEYS, rows_of(KEYS), strict=True):
        server.set(row_key(identifier, partition_of(key, 3), 17, key), row.tobytes())
    table = tf_hps.Table("movie_id", config(server))
    found = tf_hps.embedding_lookup(table, [*KEYS, 5]).numpy()
    np.testing.assert_array_equal(found[:-1], rows_of(KEYS))
    np.testing.assert_array_equal(found[-1], np.zeros(4))


def test_the_tiers_stats_tell_how_redis_is(server):
    table = tf_hps.Table("movie_id", config(server))
    table.insert(KEYS, rows_of(KEYS))
    tf_hps.embedding_lookup(table, [*KEYS, 5])
    (tier,) = table.stats()["tiers"]
    assert tier["kind"] == "redis"
    assert (tier["errors"], tier["timeouts"]) == (0, 0)
    assert tier["maxmemory_policy"] == "noeviction"
    assert tier["servers"] == [
        {"address": f"127.0.0.1:{port_of(server)}", "breaker": "closed", "breaker_opened": 0}
    ]


def test_a_lookup_without_redis_is_answered_by_the_store_and_redis_comes_back(tmp_path):
    def of(port):
        return tf_hps.Config(
            deployment="shop",
            redis=tf_hps.RedisConfig(
                f"redis://127.0.0.1:{port}",
                timeout_ms=3000,
                connect_timeout_ms=3000,
                breaker_open_ms=50,
            ),
            rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store")),
            tables={"movie_id": tf_hps.TableConfig(embedding_dim=4)},
        )

    with redis_server(tmp_path) as server:
        port = port_of(server)
        table = tf_hps.Table("movie_id", of(port))
        table.insert(KEYS, rows_of(KEYS))
        np.testing.assert_array_equal(tf_hps.embedding_lookup(table, KEYS), rows_of(KEYS))
        assert table.stats()["tiers"][0]["hits"] == len(KEYS)
    for _ in range(5):
        np.testing.assert_array_equal(tf_hps.embedding_lookup(table, KEYS), rows_of(KEYS))
    table.insert([42], rows_of([43]))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [42]), rows_of([43]))
    assert table.stats()["tiers"][0]["errors"] > 0
