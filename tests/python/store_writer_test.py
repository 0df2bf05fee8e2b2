"""StoreWriter: tables join a store whole, once, and under the generation of their content."""

import subprocess
import sys
import types

import numpy as np
import pytest
import rocksdict

from tf_hps.store import (
    RowSource,
    StoreError,
    StoreInUseError,
    StoreReader,
    StoreWriter,
    external_sort,
    from_arrays,
    row_formats,
    stored_rows,
)

EXTREME_KEYS = np.array([-(1 << 63), -(1 << 40), -1, 0, 1 << 33, (1 << 63) - 1], np.int64)


class Batches(RowSource):
    """Batches that are handed out as they are."""

    description = "a test"

    def __init__(self, batches, embedding_dim, ascending=False):
        self.embedding_dim = embedding_dim
        self.ascending = ascending
        self._batches = batches

    def __iter__(self):
        return iter(self._batches)


def make_rows(n, dim=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)


def write(path, name, rows, keys=None, row_format=None):
    with StoreWriter(path) as writer:
        return writer.write_table(name, from_arrays(rows, keys), row_format)


def read(path, name, generation=None):
    with StoreReader(path) as reader:
        record = reader.record(name, generation)
        batches = list(reader.rows(record))
    assert batches
    keys = np.concatenate([keys for keys, _ in batches])
    stored = np.concatenate([rows for _, rows in batches])
    return keys, row_formats.decode_rows(stored, record.row_format)


@pytest.mark.parametrize("row_format", row_formats.ROW_FORMATS)
def test_rows_come_back_as_they_are_stored(tmp_path, row_format):
    rows = make_rows(1000)
    write(tmp_path / "s", "movie_id", rows, row_format=row_format)
    keys, found = read(tmp_path / "s", "movie_id")
    assert (keys == np.arange(1000)).all()
    wanted = row_formats.decode_rows(row_formats.encode_rows(rows, row_format), row_format)
    assert (found == wanted).all()


def test_every_int64_is_a_key(tmp_path):
    rows = make_rows(len(EXTREME_KEYS))
    write(tmp_path / "s", "t", rows, EXTREME_KEYS)
    keys, found = read(tmp_path / "s", "t")
    assert (keys == EXTREME_KEYS).all() and (found == rows).all()
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
    assert (record.min_key, record.max_key) == (-(1 << 63), (1 << 63) - 1)


def test_equal_content_in_another_order_has_the_same_generation(tmp_path):
    rows, keys = make_rows(5000), np.arange(5000) * 3
    order = np.random.default_rng(1).permutation(5000)
    first = write(tmp_path / "a", "t", rows, keys)
    assert write(tmp_path / "b", "t", rows[order], keys[order]) == first
    assert write(tmp_path / "c", "other_name", rows, keys) == first
    assert (read(tmp_path / "a", "t")[1] == read(tmp_path / "b", "t")[1]).all()


def test_other_rows_keys_or_formats_have_other_generations(tmp_path):
    rows = make_rows(100)
    changed = rows.copy()
    changed[50, 0] = np.nextafter(changed[50, 0], np.float32(9))
    generations = [
        write(tmp_path / "s", "t", rows),
        write(tmp_path / "s", "t", changed),
        write(tmp_path / "s", "t", rows, np.arange(1, 101)),
        write(tmp_path / "s", "t", rows, row_format="float16"),
        write(tmp_path / "s", "t", rows.reshape(200, 2)),
    ]
    assert len(set(generations)) == 5
    with StoreReader(tmp_path / "s") as reader:
        assert [record.sequence for record in reader.tables()] == [1, 2, 3, 4, 5]
        assert reader.record("t").generation == generations[-1]


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_do_not_fit_into_memory_are_sorted_on_disk(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(
        stored_rows,
        "external_sort",
        lambda *arguments: external_sort.external_sort(*arguments, run_bytes=4096),
    )
    rng = np.random.default_rng(seed)
    keys = rng.choice(1 << 62, 3000, replace=False) - (1 << 61)
    rows = make_rows(3000, seed=seed)
    parts = np.split(np.arange(3000), np.sort(rng.integers(0, 3000, 20)))
    source = Batches([(keys[part], rows[part]) for part in parts], 4)
    with StoreWriter(tmp_path / "sorted") as writer:
        generation = writer.write_table("t", source)
    order = np.argsort(keys)
    assert generation == write(tmp_path / "in_order", "t", rows[order], keys[order])
    assert (read(tmp_path / "sorted", "t")[1] == rows[order]).all()
    assert not (tmp_path / "sorted" / "loading").exists()


@pytest.mark.parametrize("run_bytes", [64, 1 << 20])
def test_a_key_that_comes_twice_is_named(tmp_path, monkeypatch, run_bytes):
    monkeypatch.setattr(
        stored_rows,
        "external_sort",
        lambda *arguments: external_sort.external_sort(*arguments, run_bytes=run_bytes),
    )
    keys = np.array([5, 9, -3, 7, 9, 11])
    with (
        StoreWriter(tmp_path / "s") as writer,
        pytest.raises(ValueError, match="has the key 9 more than once"),
    ):
        writer.write_table(
            "t", Batches([(keys[:3], make_rows(3)), (keys[3:], make_rows(3))], embedding_dim=4)
        )
    with StoreReader(tmp_path / "s") as reader:
        assert reader.tables() == []


def test_a_source_that_only_says_its_keys_ascend_is_an_error(tmp_path):
    source = Batches([(np.array([1, 2]), make_rows(2)), (np.array([0]), make_rows(1))], 4, True)
    with (
        StoreWriter(tmp_path / "s") as writer,
        pytest.raises(ValueError, match="a test says that its keys ascend, but 0 comes after 2"),
    ):
        writer.write_table("t", source)


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (np.arange(2), np.zeros((3, 4), np.float32)),
        (np.arange(2), np.zeros((2, 5), np.float32)),
        (np.arange(2), np.zeros((2, 4), np.uint8)),
        (np.zeros((2, 1), np.int64), np.zeros((2, 4), np.float32)),
    ],
)
def test_batches_of_wrong_shapes_say_what_came_and_what_was_wanted(tmp_path, keys, rows):
    with (
        StoreWriter(tmp_path / "s") as writer,
        pytest.raises(
            ValueError, match=r"a test handed out keys of shape .* wanted \[n\] and \[n, "
        ),
    ):
        writer.write_table("t", Batches([(keys, rows)], 4))
        writer.write_table("t", from_arrays(make_rows(3)))


def test_an_error_leaves_the_writer_usable(tmp_path):
    def failing():
        yield np.arange(70000), make_rows(70000)
        raise OSError("the source is gone")

    with StoreWriter(tmp_path / "s") as writer:
        with pytest.raises(StoreError, match="the source is gone"):
            writer.write_table("t", Batches(failing(), 4, ascending=True))
        assert writer.tables() == []
        writer.write_table("t", from_arrays(make_rows(3)))
    assert len(read(tmp_path / "s", "t")[0]) == 3


def test_an_equal_generation_is_not_written_again_and_becomes_the_newest(tmp_path):
    rows, other = make_rows(100), make_rows(100, seed=1)
    with StoreWriter(tmp_path / "s") as writer:
        first = writer.write_table("t", from_arrays(rows))
        assert not writer.last_load.already_there
        second = writer.write_table("t", from_arrays(other))
        files = sorted(path.name for path in (tmp_path / "s").glob("*.sst"))
        assert writer.write_table("t", from_arrays(rows)) == first
        assert writer.last_load.already_there and not writer.last_load.modified
        assert sorted(path.name for path in (tmp_path / "s").glob("*.sst")) == files
        assert [record.generation for record in writer.tables()] == [second, first]


def test_rows_updated_since_the_load_stay_and_are_reported(tmp_path):
    generation = write(tmp_path / "s", "t", make_rows(10))
    options = rocksdict.Options(raw_mode=True)
    with rocksdict.Rdict(str(tmp_path / "s"), options) as database:
        database[f"tf_hps/modified/t/{generation}".encode()] = b"1"
    with StoreWriter(tmp_path / "s") as writer:
        assert writer.write_table("t", from_arrays(make_rows(10))) == generation
        assert writer.last_load.already_there and writer.last_load.modified


def test_a_dropped_table_is_gone_and_can_be_loaded_again(tmp_path):
    with StoreWriter(tmp_path / "s") as writer:
        kept = writer.write_table("kept", from_arrays(make_rows(10)))
        generation = writer.write_table("t", from_arrays(make_rows(10, seed=1)))
        writer.drop_table("t", generation)
        assert [record.generation for record in writer.tables()] == [kept]
        with pytest.raises(StoreError, match="has no table 't' of generation"):
            writer.drop_table("t", generation)
        assert writer.write_table("t", from_arrays(make_rows(10, seed=1))) == generation
    assert len(read(tmp_path / "s", "t")[0]) == 10


def test_a_table_may_have_no_rows(tmp_path):
    write(tmp_path / "s", "t", np.zeros((0, 4), np.float32))
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
        assert (record.rows, record.min_key, list(reader.rows(record))) == (0, None, [])


def test_progress_ends_at_all_rows(tmp_path):
    seen = []
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table(
            "t", from_arrays(make_rows(70000)), progress=lambda *step: seen.append(step)
        )
    assert seen == [(65536, 70000), (70000, 70000)]


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"`compression` is one of .*Received: 'zstd'"):
        StoreWriter(tmp_path / "s", compression="zstd")
    with StoreWriter(tmp_path / "s") as writer:
        with pytest.raises(ValueError, match="Received: name='a b'"):
            writer.write_table("a b", from_arrays(make_rows(1)))
        with pytest.raises(ValueError, match="`row_format` is one of"):
            writer.write_table("t", from_arrays(make_rows(1)), "float64")


def test_lz4_makes_rows_that_compress_smaller(tmp_path):
    rows = np.zeros((20000, 64), np.float32)
    for compression in ("none", "lz4"):
        with StoreWriter(tmp_path / compression, compression) as writer:
            writer.write_table("t", from_arrays(rows))
    sizes = {}
    for compression in ("none", "lz4"):
        with StoreReader(tmp_path / compression) as reader:
            sizes[compression] = reader.disk_bytes(reader.record("t"))
        assert (read(tmp_path / compression, "t")[1] == rows).all()
    assert sizes["lz4"] < sizes["none"] / 5


def test_two_processes_cannot_write_one_store(tmp_path):
    child = (
        "import sys; from tf_hps.store import *\n"
        "try: StoreWriter(sys.argv[1])\n"
        "except StoreInUseError as error: print(error)"
    )
    with StoreWriter(tmp_path / "s"):
        output = subprocess.check_output([sys.executable, "-c", child, tmp_path / "s"], text=True)
    assert f"{tmp_path / 's'} is open for writing in another process" in output
    assert "TF_HPS_ROCKSDB_READ_ONLY=1" in output
    write(tmp_path / "s", "t", make_rows(1))


def test_two_writers_in_one_process_are_an_error(tmp_path):
    with (
        StoreWriter(tmp_path / "s"),
        pytest.raises(StoreInUseError, match="another StoreWriter of this process"),
    ):
        StoreWriter(tmp_path / "s" / ".." / "s")
    StoreWriter(tmp_path / "s").close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_the_op_library_writes_is_an_error(tmp_path, monkeypatch, read_only):
    write(tmp_path / "s", "t", make_rows(1))
    stores = [{"path": str(tmp_path / "s"), "read_only": read_only}]
    core = types.SimpleNamespace(open_stores=lambda: stores)
    monkeypatch.setitem(sys.modules, "tf_hps._core", core)
    if read_only:
        StoreWriter(tmp_path / "s").close()
    else:
        with pytest.raises(StoreInUseError, match="by a table of the op library"):
            StoreWriter(tmp_path / "s")


def test_a_file_a_full_folder_and_a_foreign_database_are_no_stores(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file; a store is a folder"):
        StoreWriter(tmp_path / "file")
    with pytest.raises(StoreError, match="holds other files and no RocksDB database"):
        StoreWriter(tmp_path)
    with rocksdict.Rdict(str(tmp_path / "foreign"), rocksdict.Options(raw_mode=True)) as database:
        database[b"key"] = b"value"
    with pytest.raises(StoreError, match="is a RocksDB database of somebody else"):
        StoreWriter(tmp_path / "foreign")
    with rocksdict.Rdict(str(tmp_path / "foreign"), rocksdict.Options(raw_mode=True)) as database:
        assert database[b"key"] == b"value"


def test_a_newer_store_names_both_versions(tmp_path):
    StoreWriter(tmp_path / "s").close()
    with rocksdict.Rdict(str(tmp_path / "s"), rocksdict.Options(raw_mode=True)) as database:
        database[b"tf_hps/format_version"] = b"3"
    for opened in (StoreWriter, StoreReader):
        with pytest.raises(StoreError, match="has store format 3; this tf_hps reads 2 and older"):
            opened(tmp_path / "s")
