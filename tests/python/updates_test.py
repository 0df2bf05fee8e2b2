"""A trainer's commits, from tf_hps.Publisher to the lookups of tables that follow the stream."""

import concurrent.futures
import dataclasses
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tables import memory_config, rocksdb_config

import tf_hps
from tf_hps import cli
from tf_hps.store import StoreWriter, database, from_arrays
from tf_hps.store.copy import copy_store

DIM = 4


@pytest.fixture
def stream(tmp_path):
    folder = tmp_path / "stream"
    folder.mkdir()
    return str(folder)


def following(config, stream, **options):
    return dataclasses.replace(config, updates=tf_hps.UpdatesConfig(url=stream, **options))


def publisher(stream, *tables):
    generations = {table.name: table.generation for table in tables}
    return tf_hps.Publisher(stream, tables[0].deployment, generations)


def rows(n, value):
    return np.full((n, DIM), value, np.float32)


def test_a_commit_is_seen_and_an_erase_brings_the_default_row_back(tmp_path, stream):
    table = tf_hps.Table("movie_id", following(rocksdb_config(tmp_path / "store"), stream))
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [1, 2, 3], rows(3, 7.0))
        table.wait_until(trainer.commit())
        seen = tf_hps.embedding_lookup(table, [1, 4]).numpy()
        np.testing.assert_array_equal(seen, [[7.0] * DIM, [0.0] * DIM])
        trainer.erase("movie_id", [1])
        table.wait_until(trainer.commit())
    assert not tf_hps.embedding_lookup(table, [1]).numpy().any()
    assert table.stats()["updates"]["rows"] == 3
    assert table.stats()["updates"]["erased"] == 1


def test_wait_until_gives_up_in_time(stream):
    table = tf_hps.Table("movie_id", following(memory_config(generation="g1"), stream))
    with pytest.raises(TimeoutError, match=r"movie_id.* has updates up to"):
        table.wait_until("00000000000000000001.hpsu", 0.01)


def test_a_table_without_a_stream_has_nothing_to_wait_for():
    with pytest.raises(tf_hps.errors.FailedPreconditionError, match='no section "updates"'):
        tf_hps.Table("movie_id", memory_config()).wait_until("x")


def test_a_store_that_is_read_only_needs_a_state_dir_for_updates(tmp_path, stream):
    config = rocksdb_config(tmp_path / "store")
    tf_hps.Table("movie_id", config).insert([1], rows(1, 1.0))
    config = dataclasses.replace(
        config, rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store"), read_only=True)
    )
    with pytest.raises(tf_hps.errors.FailedPreconditionError, match=r"`rocksdb\.state_dir`"):
        tf_hps.Table("movie_id", following(config, stream))


def test_servers_of_one_store_have_their_own_updates(tmp_path, stream):
    with StoreWriter(str(tmp_path / "store")) as writer:
        writer.write_table("movie_id", from_arrays(rows(10, 1.0)))

    def server(number, stream):
        state_dir = str(tmp_path / f"server-{number}")
        return tf_hps.Config(
            deployment=f"server-{number}",  # in one process; else they have one name
            memory=tf_hps.MemoryConfig(preload=True),
            rocksdb=tf_hps.RocksdbConfig(
                str(tmp_path / "store"), read_only=True, state_dir=state_dir
            ),
            updates=tf_hps.UpdatesConfig(url=stream),
            tables={"movie_id": tf_hps.TableConfig()},
        )

    nothing = tmp_path / "another"
    nothing.mkdir()
    first = tf_hps.Table("movie_id", server(1, stream))
    with publisher(stream, first) as trainer:
        trainer.publish("movie_id", [1, 20], rows(2, 7.0))
        trainer.erase("movie_id", [2])
        position = trainer.commit()
    first.wait_until(position)
    second = tf_hps.Table("movie_id", server(2, str(nothing)))
    keys = [0, 1, 2, 20]
    assert tf_hps.embedding_lookup(first, keys).numpy()[:, 0].tolist() == [1, 7, 0, 7]
    assert tf_hps.embedding_lookup(second, keys).numpy()[:, 0].tolist() == [1, 1, 1, 0]

    # Its commits are gone from the stream, and it has them.
    del first
    again = tf_hps.Table("movie_id", server(1, str(nothing)))
    assert again.stats()["updates"]["position"] == position
    assert tf_hps.embedding_lookup(again, keys).numpy()[:, 0].tolist() == [1, 7, 0, 7]
    with pytest.raises(tf_hps.store.StoreError, match="lies over a store"):
        list(tf_hps.store.StoreReader(tmp_path / "server-1/overlay").source("movie_id"))


def test_one_process_follows_one_stream_of_a_deployment(tmp_path, stream):
    config = memory_config(generation="g1")
    table = tf_hps.Table("movie_id", following(config, stream))
    with pytest.raises(ValueError, match="asks for"):
        tf_hps.Table("movie_id", following(config, stream, poll_ms=7))
    assert len(table) == 0


def test_a_trainer_of_another_generation_never_changes_an_answer(tmp_path, stream):
    ids = np.arange(100)
    config = memory_config("a", "b", generation="g1")
    served = tf_hps.Table("a", following(config, stream))
    others = {
        name: dataclasses.replace(table, generation="g2") for name, table in config.tables.items()
    }
    retrained = tf_hps.Table("a", following(dataclasses.replace(config, tables=others), stream))
    with publisher(stream, served) as trainer:
        trainer.publish("a", ids, rows(100, 1.0))
        served.wait_until(trainer.commit())
    with publisher(stream, retrained) as trainer:
        for value in range(2, 12):
            trainer.publish("a", ids, rows(100, float(value)))
            position = trainer.commit()
            assert (tf_hps.embedding_lookup(served, ids).numpy() == 1.0).all()
        served.wait_until(position)
        retrained.wait_until(position)
    assert (tf_hps.embedding_lookup(served, ids).numpy() == 1.0).all()
    assert (tf_hps.embedding_lookup(retrained, ids).numpy() == 11.0).all()


@pytest.mark.parametrize("tiers", ["memory", "both", "rocksdb"])
def test_ops_see_all_of_a_commit_or_nothing(tmp_path, stream, tiers):
    names = ["a", "b", "c"]
    config = memory_config(*names, **({"generation": "g1"} if tiers == "memory" else {}))
    if tiers != "memory":
        config = dataclasses.replace(
            config,
            memory=tf_hps.MemoryConfig(capacity_rows=200) if tiers == "both" else None,
            rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store")),
        )
    tables = {name: tf_hps.Table(name, following(config, stream)) for name in names}
    ids = np.arange(500)
    failures: list[str] = []
    lookups: list[float] = []
    stop = threading.Event()

    def look():
        of_all = tf.constant(np.tile(ids, 3))
        newest = 0.0
        while not stop.is_set():
            found = tf_hps.embedding_lookup_group(tables, dict.fromkeys(names, of_all))
            versions = np.unique(np.concatenate([one.numpy() for one in found.values()]))
            bags = tf_hps.embedding_lookup_sparse(
                tables["a"],
                tf.RaggedTensor.from_row_lengths(ids, [250, 250]),
                sp_weights=None,
                combiner="mean",
            )
            summed = np.unique(bags.numpy())
            if len(versions) != 1 or len(summed) != 1 or summed[0] < versions[0] < newest:
                failures.append(f"{versions} {summed} after {newest}")
            newest = versions[0]
            lookups.append(newest)

    pool = concurrent.futures.ThreadPoolExecutor(2)
    readers = [pool.submit(look) for _ in range(2)]
    with publisher(stream, *tables.values()) as trainer:
        for version in range(1, 40):
            for name in names:
                trainer.publish(name, ids, rows(len(ids), float(version)))
            position = trainer.commit()
            while len(lookups) < version and not any(reader.done() for reader in readers):
                time.sleep(0.001)  # lookups and commits meet, however busy the machine is
    for table in tables.values():
        table.wait_until(position)
    stop.set()
    for reader in readers:
        reader.result()
    assert len(set(lookups)) > 2
    assert not failures, failures[:3]
    assert (tf_hps.embedding_lookup(tables["c"], ids).numpy() == 39.0).all()


def test_a_large_commit_comes_in_while_lookups_run(tmp_path, stream):
    config = following(rocksdb_config(tmp_path / "store"), stream)
    table = tf_hps.Table("movie_id", config)
    n = 100_000
    longest = 0.0
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", np.arange(n), rows(n, 1.0))
        position = trainer.commit()
    while table.stats()["updates"]["position"] != position:
        started = time.perf_counter()
        seen = np.unique(tf_hps.embedding_lookup(table, np.arange(0, n, 100)).numpy())
        longest = max(longest, time.perf_counter() - started)
        assert seen.tolist() in ([0.0], [1.0])
    assert (tf_hps.embedding_lookup(table, np.arange(n)).numpy() == 1.0).all()
    assert longest < 5.0, "a lookup waited for the commit"


def test_an_export_says_what_its_weights_go_with(tmp_path, stream):
    config = following(rocksdb_config(tmp_path / "store"), stream, position_timeout_s=0.2)
    table = tf_hps.Table("movie_id", config)
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [1], rows(1, 1.0))
        trainer.commit()
        trainer.publish("movie_id", [1], rows(1, 2.0))
        newest = trainer.commit()
    model = tf.Module()
    model.table = table
    model.look = tf.function(
        lambda ids: tf_hps.embedding_lookup(table, ids),
        input_signature=[tf.TensorSpec([None], tf.int64)],
    )
    tf_hps.export(model, tmp_path / "1")
    written = tf_hps.Config.load(next((tmp_path / "1" / "assets").iterdir()))
    assert written.updates.position == newest
    assert written.tables["movie_id"].generation == table.generation
    assert written.rocksdb.path == str(tmp_path / "store")
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    assert (loaded.look([1]).numpy() == 2.0).all()

    # A server whose stream is not there yet fails to load it, and tries again.
    ahead = "00000000000000000003.hpsu"
    tf_hps.export(model, tmp_path / "2", position=ahead)
    with pytest.raises(tf.errors.DeadlineExceededError, match="position_timeout_s"):
        tf.saved_model.load(str(tmp_path / "2"))
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [1], rows(1, 3.0))
        assert trainer.commit() == ahead
    loaded = tf.saved_model.load(str(tmp_path / "2"))
    assert (loaded.look([1]).numpy() == 3.0).all()


def test_inspect_shows_a_row_in_every_tier(tmp_path, stream, capsys):
    store = tmp_path / "store"
    table = tf_hps.Table("movie_id", following(rocksdb_config(store), stream))
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [7], rows(1, 1.5))
        position = trainer.commit()
    table.wait_until(position)
    seen = table.inspect(7)
    assert [tier["kind"] for tier in seen["tiers"]] == ["memory", "rocksdb"]
    assert all(tier["row"] == [1.5] * DIM for tier in seen["tiers"])
    assert (seen["generation"], seen["position"]) == (table.generation, position)
    assert abs(seen["time_us"] / 1e6 - time.time()) < 60
    assert [tier["state"] for tier in table.inspect(8)["tiers"]] == ["unknown", "unknown"]

    assert cli.main(["inspect", "--store", str(store), "--table", "movie_id", "--key", "7"]) == 0
    shown = capsys.readouterr().out
    assert f"updates up to {position}, committed 20" in shown
    assert "7: [1.5 1.5 1.5 1.5]" in shown
    assert cli.main(["inspect", "--store", str(store), "--table", "movie_id", "--key", "8"]) == 1


def test_an_export_without_a_stream_has_no_position(tmp_path):
    table = tf_hps.Table("movie_id", rocksdb_config(tmp_path / "store"))
    table.insert([1], rows(1, 1.0))
    model = tf.Module()
    model.table = table
    model.look = tf.function(
        lambda ids: tf_hps.embedding_lookup(table, ids),
        input_signature=[tf.TensorSpec([None], tf.int64)],
    )
    with pytest.raises(ValueError, match="no `updates`"):
        tf_hps.export(model, tmp_path / "1", position="00000000000000000001.hpsu")


def test_rows_expire_and_a_commit_of_nothing_is_enough(stream):
    config = memory_config(generation="g1", ttl_s=1, max_rows=3)
    table = tf_hps.Table("movie_id", following(config, stream))
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [1, 2, 3, 4], rows(4, 7.0))
        table.wait_until(trainer.commit())
        assert tf_hps.embedding_lookup(table, [1, 2, 3, 4]).numpy()[:, 0].tolist() == [0, 7, 7, 7]
        time.sleep(1.1)
        assert tf_hps.embedding_lookup(table, [2]).numpy().any(), "nothing came"
        table.wait_until(trainer.commit())
    assert not tf_hps.embedding_lookup(table, [2, 3, 4]).numpy().any()
    assert len(table) == 0
    growth = table.stats()["updates"]["growth"]
    assert (growth["expired"], growth["evicted"], growth["rejected"]) == (3, 1, 0)
    assert (growth["max_rows"], growth["ttl_s"], growth["when_full"]) == (3, 1, "evict_oldest")
    with pytest.raises(tf.errors.FailedPreconditionError, match="by the stream"):
        table.insert([1], rows(1, 1.0))


def test_the_ages_of_rows_travel_with_their_store(tmp_path, stream):
    config = following(rocksdb_config(tmp_path / "store", max_rows=3), stream)
    table = tf_hps.Table("movie_id", config)
    with publisher(stream, table) as trainer:
        trainer.publish("movie_id", [1, 2, 3], rows(3, 1.0))
        trainer.commit()
        trainer.publish("movie_id", [1], rows(1, 2.0))
        table.wait_until(trainer.commit())
    copy_store(tmp_path / "store", tmp_path / "copy", {"movie_id": table.generation})
    copied = following(rocksdb_config(tmp_path / "copy", max_rows=3), stream)
    other = tf_hps.Table("movie_id", copied)
    with publisher(stream, other) as trainer:
        trainer.publish("movie_id", [4], rows(1, 4.0))
        other.wait_until(trainer.commit())
    assert tf_hps.embedding_lookup(other, [1, 2, 3, 4]).numpy()[:, 0].tolist() == [2, 0, 1, 4]
    generation = other.generation
    del other
    with StoreWriter(tmp_path / "copy") as writer:
        writer.drop_table("movie_id", generation)
    assert database.column_families(str(tmp_path / "copy")) == []
