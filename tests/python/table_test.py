"""Table: what it tells, what it takes, and when its memory comes back."""

import gc

import numpy as np
import pytest
import tensorflow as tf
from tables import filled_table, memory_config, rocksdb_config, rows_of

import tf_hps


def test_it_says_what_it_is():
    config = memory_config(row_format="float16")
    table = tf_hps.Table("movie_id", config, dtype="bfloat16")
    assert (table.name, table.deployment) == ("movie_id", config.deployment)
    assert (table.embedding_dim, table.row_format, table.dtype) == (4, "float16", tf.bfloat16)
    assert table.config_path == config.path()
    assert "'movie_id'" in repr(table) and "float16" in repr(table)


def test_one_that_could_not_be_opened_has_a_repr():
    assert "could not be opened" in repr(tf_hps.Table.__new__(tf_hps.Table))


def test_it_opens_from_the_path_of_a_file(tmp_path):
    memory_config().save(tmp_path / "hps.json")
    table = tf_hps.Table("movie_id", tmp_path / "hps.json")
    table.insert([1], [[1, 2, 3, 4]])
    assert len(table) == 1


def test_insert_replaces_and_erase_brings_the_default_row_back():
    table = filled_table([1, 2])
    table.insert([2, 3, 3], rows_of([7, 8, 9]))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [1, 2, 3]), rows_of([1, 7, 9]))
    table.erase([2, 99])
    assert tf_hps.embedding_lookup(table, [2]).numpy().tolist() == [[0, 0, 0, 0]]
    assert len(table) == 2 and table.rows_exact


@pytest.mark.parametrize("keys", [np.array([1, 2], np.uint32), np.array([1, 2], np.int8), [1, 2]])
def test_keys_may_be_any_integers(keys):
    table = filled_table([5])
    table.insert(keys, rows_of([1, 2]).astype(np.float64))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [1, 2]), rows_of([1, 2]))
    table.erase(keys)
    assert len(table) == 1


def test_inserting_and_erasing_nothing():
    table = filled_table([1])
    table.insert([], np.zeros([0, 4]))
    table.erase([])
    assert len(table) == 1


@pytest.mark.parametrize("keys", [[1.5], np.array([1], np.uint64), ["a"]])
def test_other_keys_are_refused(keys):
    table = filled_table([1])
    for call in [lambda: table.insert(keys, rows_of([1])), lambda: table.erase(keys)]:
        with pytest.raises(TypeError, match=r"`keys` are integers of at most 64 bits. Received: "):
            call()
    assert len(table) == 1


def test_rows_are_stored_in_the_table_s_format():
    table = filled_table([3], memory_config(row_format="int8"))
    [(keys, rows)] = table.scan_raw()
    assert keys.tolist() == [3]
    assert rows.shape == (1, 8)
    scale = rows[:, :4].copy().view(np.float32)
    assert scale[0, 0] == np.float32(127) / np.float32(3.75)
    assert rows[0, 4:].view(np.int8).tolist() == [102, 110, 119, 127]


def test_scan_hands_out_every_row_once():
    keys = np.random.default_rng(1).permutation(10_000) * 7 - 30_000
    table = filled_table(keys)
    batches = list(table.scan(batch_size=999))
    assert max(len(keys) for keys, _ in batches) <= 999
    found = np.concatenate([keys for keys, _ in batches])
    rows = np.concatenate([rows for _, rows in batches])
    np.testing.assert_array_equal(np.sort(found), np.sort(keys))
    np.testing.assert_array_equal(rows, rows_of(found))


def test_an_empty_table_is_a_table():
    table = tf_hps.Table("movie_id", memory_config())
    assert len(table) == 0 and table and list(table.scan()) == []
    table.wait_for_preload()


def test_tables_of_one_identity_share_rows():
    config = memory_config()
    table = filled_table([1], config)
    other = tf_hps.Table("movie_id", config)
    table.insert([2], rows_of([2]))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(other, [1, 2]), rows_of([1, 2]))


def test_the_last_one_to_go_gives_the_memory_back():
    config = memory_config()
    table = filled_table([1], config)
    other = tf_hps.Table("movie_id", config)
    del table
    gc.collect()
    assert len(other) == 1
    del other
    gc.collect()
    assert len(tf_hps.Table("movie_id", config)) == 0  # a new one


def test_a_table_made_while_a_function_is_traced_lives_outside_of_it():
    config = memory_config()
    made = []

    @tf.function
    def look_up(ids):
        if not made:
            made.append(tf_hps.Table("movie_id", config))
        return tf_hps.embedding_lookup(made[0], ids)

    assert look_up(tf.constant([1])).numpy().tolist() == [[0, 0, 0, 0]]
    made[0].insert([1], rows_of([1]))
    np.testing.assert_array_equal(look_up(tf.constant([1])), rows_of([1]))


def test_updates_in_a_function():
    table = filled_table([1, 2])

    @tf.function
    def update(keys, rows):
        table.insert(keys, rows)
        table.erase([1])

    update(tf.constant([7]), tf.constant(rows_of([7])))
    assert len(table) == 2
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, [7]), rows_of([7]))


def test_rows_survive_in_a_store(tmp_path):
    config = rocksdb_config(tmp_path / "store")
    table = filled_table(np.arange(100), config)
    generation = table.generation
    del table
    gc.collect()
    table = tf_hps.Table("movie_id", config)
    table.wait_for_preload()
    assert table.generation == generation
    np.testing.assert_array_equal(
        tf_hps.embedding_lookup(table, np.arange(100)), rows_of(np.arange(100))
    )


def test_rows_that_only_the_store_has_are_found_without_a_memory_tier(tmp_path):
    config = tf_hps.Config(
        deployment="only-rocksdb",
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store")),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=4)},
    )
    table = filled_table(np.arange(5000), config)
    ids = np.random.default_rng(3).integers(0, 6000, [100, 50])
    expected = np.where((ids < 5000)[..., np.newaxis], rows_of(ids), 0)
    look_up = tf.function(lambda ids: tf_hps.embedding_lookup(table, ids))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, ids), expected)
    np.testing.assert_array_equal(look_up(ids), expected)


def test_a_read_only_store_refuses_rows_and_goes_on(tmp_path):
    config = rocksdb_config(tmp_path / "store")
    table = filled_table([1, 2], config)
    del table
    gc.collect()
    read_only = tf_hps.Config(
        deployment="read-only",
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store"), read_only=True),
        memory=tf_hps.MemoryConfig(),
        tables={"movie_id": tf_hps.TableConfig()},
    )
    table = tf_hps.Table("movie_id", read_only)
    for call in [lambda: table.insert([3], rows_of([3])), lambda: table.erase([1])]:
        with pytest.raises(tf.errors.FailedPreconditionError, match=r"read-only"):
            call()
    np.testing.assert_array_equal(
        tf_hps.embedding_lookup(table, [1, 2, 3]), [*rows_of([1, 2]), [0, 0, 0, 0]]
    )


class TestErrors:
    def test_unknown_table(self):
        with pytest.raises(
            LookupError, match=r'no table "genre" in .*hps.json.*: movie_id'
        ) as error:
            tf_hps.Table("genre", memory_config())
        assert isinstance(error.value, tf_hps.errors.NotFoundError)

    def test_missing_file(self, tmp_path):
        with pytest.raises(tf_hps.errors.NotFoundError, match=r"hps.json"):
            tf_hps.Table("movie_id", tmp_path / "hps.json")

    def test_a_table_that_is_new_needs_its_width(self):
        config = memory_config(embedding_dim=None)
        with pytest.raises(ValueError, match=r"`embedding_dim` must be given"):
            tf_hps.Table("movie_id", config)

    def test_a_dtype_that_rows_cannot_have(self):
        with pytest.raises(ValueError, match=r"`dtype` is one of .* Received: dtype='int32'"):
            tf_hps.Table("movie_id", memory_config(), dtype="int32")

    def test_a_path_that_is_no_database(self, tmp_path):
        (tmp_path / "store").write_text("I am a file")
        config = rocksdb_config(tmp_path / "store")
        with pytest.raises((tf_hps.errors.HpsError, ValueError), match=r"store"):
            tf_hps.Table("movie_id", config)

    def test_a_store_of_another_dimension(self, tmp_path):
        store = tmp_path / "store"
        filled_table([1], rocksdb_config(store))
        gc.collect()
        with pytest.raises(ValueError, match=r"says embedding_dim 8, its store has 4"):
            tf_hps.Table("movie_id", rocksdb_config(store, embedding_dim=8))
        assert len(tf_hps.Table("movie_id", rocksdb_config(store))) == 1
