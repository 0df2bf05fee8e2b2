"""Stores between the op library's RocksDB and rocksdict's: each reads what the other wrote."""

import gc
import subprocess
import sys

import numpy as np
import pytest

import tf_hps
from tf_hps._library import load_core
from tf_hps.cli import main
from tf_hps.store import StoreInUseError, StoreReader, StoreWriter, from_arrays, row_formats
from tf_hps.store.copy import copy_store

KEYS = np.array([-(1 << 63), -1, 0, 5, 1 << 40, (1 << 63) - 1], np.int64)


def make_rows(seed=0, n=6, dim=5):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)


def config_of(store, read_only=True, **table):
    return tf_hps.Config(
        rocksdb=tf_hps.RocksdbConfig(path=str(store), read_only=read_only),
        tables={"t": tf_hps.TableConfig(**table)},
    )


def open_table(*arguments, **options):
    return load_core().Table(config_of(*arguments, **options).path(), "t")


def write(store, rows, keys=KEYS, row_format=None, compression="none"):
    with StoreWriter(store, compression) as writer:
        return writer.write_table("t", from_arrays(rows, keys), row_format)


@pytest.mark.parametrize("compression", ["none", "lz4"])
@pytest.mark.parametrize("row_format", row_formats.ROW_FORMATS)
def test_the_op_library_finds_what_was_written_offline(tmp_path, row_format, compression):
    rows = make_rows()
    generation = write(tmp_path / "s", rows, KEYS, row_format, compression)
    table = open_table(tmp_path / "s")
    assert (table.spec["generation"], table.spec["row_format"]) == (generation, row_format)
    stored, found = table.find([7, *KEYS])
    assert found.tolist() == [False] + [True] * len(KEYS)
    assert (stored[1:] == row_formats.encode_rows(rows, row_format)).all()
    scanned = list(table.scan())
    assert np.concatenate([keys for keys, _ in scanned]).tolist() == KEYS.tolist()


@pytest.mark.parametrize("row_format", row_formats.ROW_FORMATS)
def test_both_codecs_write_and_read_the_same_bytes(row_format):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        scale = 10.0 ** rng.integers(-44, 38, (40, 1))
        rows = (make_rows(seed, n=40, dim=19) * scale).astype(np.float32)
        rows[0] = 0
        rows[1, :4] = [np.inf, -np.inf, 65520, -0.0]
        stored = row_formats.encode_rows(rows, row_format)
        assert (load_core().encode_rows(row_format, rows) == stored).all(), f"seed {seed}"
        decoded = load_core().decode_rows(row_format, 19, stored)
        expected = row_formats.decode_rows(stored, row_format)
        np.testing.assert_array_equal(decoded, expected, f"seed {seed}")


def test_the_newest_load_counts_and_a_generation_can_be_named(tmp_path):
    old, new = make_rows(1), make_rows(2)
    first = write(tmp_path / "s", old)
    write(tmp_path / "s", new)
    assert (open_table(tmp_path / "s").find(KEYS)[0].view(np.float32) == new).all()
    pinned = open_table(tmp_path / "s", generation=first)
    assert (pinned.find(KEYS)[0].view(np.float32) == old).all()
    write(tmp_path / "s", old)
    assert open_table(tmp_path / "s").spec["generation"] == first


def test_a_table_that_the_op_library_filled_is_read_and_stays(tmp_path):
    rows = make_rows()
    table = open_table(tmp_path / "s", read_only=False, embedding_dim=5)
    table.insert(KEYS, rows.view(np.uint8))
    generation = table.spec["generation"]
    del table
    gc.collect()
    write(tmp_path / "s", make_rows(1))
    with StoreReader(tmp_path / "s") as reader:
        stored, found = reader.get(reader.record("t", generation), KEYS)
    assert found.all() and (stored.view(np.float32) == rows).all()
    assert (open_table(tmp_path / "s", generation=generation).find(KEYS)[0] == stored).all()


def test_updates_after_a_load_are_reported(tmp_path, capsys):
    generation = write(tmp_path / "s", make_rows())
    table = open_table(tmp_path / "s", read_only=False)
    table.insert([9], np.ones((1, 5), np.float32).view(np.uint8))
    del table
    gc.collect()
    with StoreWriter(tmp_path / "s") as writer:
        assert writer.write_table("t", from_arrays(make_rows(), KEYS)) == generation
        assert writer.last_load.already_there and writer.last_load.modified
    assert main(["inspect", "--store", str(tmp_path / "s")]) == 0
    assert "~6" in capsys.readouterr().out


def test_a_store_that_a_table_writes_is_not_written_offline(tmp_path):
    write(tmp_path / "s", make_rows())
    table = open_table(tmp_path / "s", read_only=False)
    with pytest.raises(StoreInUseError, match="in this process, by a table of the op library"):
        StoreWriter(tmp_path / "s")
    child = "import sys; from tf_hps.store import *\ntry: StoreWriter(sys.argv[1])\n"
    child += "except StoreInUseError as error: print(error)"
    output = subprocess.check_output([sys.executable, "-c", child, tmp_path / "s"], text=True)
    assert "is open for writing in another process" in output
    table.insert([9], np.ones((1, 5), np.float32).view(np.uint8))
    del table
    gc.collect()
    write(tmp_path / "s", make_rows(1))


def test_a_table_does_not_write_a_store_that_is_being_written_offline(tmp_path):
    write(tmp_path / "s", make_rows())
    config = tf_hps.Config(
        deployment="written_offline",
        rocksdb=tf_hps.RocksdbConfig(path=str(tmp_path / "s"), read_only=False),
        tables={"t": tf_hps.TableConfig()},
    )
    in_use = pytest.raises(StoreInUseError, match="is open in a StoreWriter of this process")
    with StoreWriter(tmp_path / "s"), in_use:
        tf_hps.Table("t", config)
    assert len(tf_hps.Table("t", config)) == len(KEYS)


def test_a_store_that_tables_read_is_written_offline(tmp_path):
    rows = make_rows()
    first = write(tmp_path / "s", rows)
    table = open_table(tmp_path / "s")
    second = write(tmp_path / "s", make_rows(1))
    with StoreWriter(tmp_path / "s") as writer:
        writer.drop_table("t", first)
    assert (table.find(KEYS)[0].view(np.float32) == rows).all()
    assert open_table(tmp_path / "s").spec["generation"] == second


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_is_copied_while_a_table_has_it_open(tmp_path, read_only):
    rows = make_rows()
    generation = write(tmp_path / "s", rows)
    other = write(tmp_path / "s", make_rows(1))
    table = open_table(tmp_path / "s", read_only=read_only, generation=generation)
    if not read_only:
        rows[3] = 7
        table.insert(KEYS[3:4], rows[3:4].view(np.uint8))
    copy_store(tmp_path / "s", tmp_path / "c", {"t": generation})
    copy = open_table(tmp_path / "c")
    assert copy.spec["generation"] == generation
    assert (copy.find(KEYS)[0].view(np.float32) == rows).all()
    with StoreReader(tmp_path / "c") as reader:
        assert [record.generation for record in reader.tables()] == [generation]
        assert reader.modified(reader.record("t")) == (not read_only)
    assert other != generation and table.find(KEYS)[1].all()


def test_config_prints_values_with_their_origins(tmp_path, capsys, monkeypatch):
    write(tmp_path / "s", make_rows())
    config = config_of(tmp_path / "s")
    (tmp_path / "model" / "assets").mkdir(parents=True)
    config.save(tmp_path / "model" / "assets" / "hps.json")
    monkeypatch.setenv("TF_HPS_ROCKSDB_READ_ONLY", "0")
    assert main(["config", str(tmp_path / "model")]) == 0
    lines = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()[1:]]
    values = {name: (value, origin) for name, value, origin in lines}
    assert values["rocksdb.path"] == (f'"{tmp_path / "s"}"', "hps.json")
    assert values["rocksdb.read_only"] == ("false", "TF_HPS_ROCKSDB_READ_ONLY")
