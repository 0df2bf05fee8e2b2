"""StoreReader: ranges and lookups against a dict, and stores that are damaged."""

import glob
import os
import threading

import numpy as np
import pytest
import rocksdict

from tf_hps.store import StoreError, StoreReader, StoreWriter, from_arrays, row_formats

INT64 = np.iinfo(np.int64)


def write(path, keys, rows, name="t"):
    with StoreWriter(path) as writer:
        return writer.write_table(name, from_arrays(rows, keys))


@pytest.mark.parametrize("seed", range(5))
def test_ranges_and_lookups_agree_with_a_dict(tmp_path, seed):
    rng = np.random.default_rng(seed)
    spread = int(rng.choice([1000, 1 << 40, 1 << 62]))
    keys = np.unique(rng.integers(-spread, spread, 500))
    rows = rng.standard_normal((len(keys), 3), dtype=np.float32)
    model = dict(zip(keys.tolist(), rows.tolist(), strict=True))
    write(tmp_path / "s", keys, rows)
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
        for _ in range(50):
            first, last = np.sort(
                rng.choice([*keys, *(keys + 1), INT64.min, INT64.max], 2)
            ).tolist()
            found = {}
            for part, stored in reader.rows(
                record, first, last, batch_rows=int(rng.integers(1, 99))
            ):
                values = row_formats.decode_rows(stored, "float32")
                found.update(zip(part.tolist(), values.tolist(), strict=True))
            expected = {key: row for key, row in model.items() if first <= key <= last}
            assert found == expected, f"seed {seed}, [{first}, {last}]"
        asked = rng.choice([*keys, *(keys + 1), INT64.min, INT64.max], 300)
        stored, known = reader.get(record, asked)
        values = row_formats.decode_rows(stored, "float32").tolist()
        for key, row, there in zip(asked.tolist(), values, known.tolist(), strict=True):
            assert (row if there else None) == model.get(key), f"seed {seed}, key {key}"
            assert there or row == [0, 0, 0]


def test_no_keys_are_no_rows(tmp_path):
    write(tmp_path / "s", None, np.ones((3, 2), np.float32))
    with StoreReader(tmp_path / "s") as reader:
        rows, found = reader.get(reader.record("t"), np.empty(0, np.int64))
        assert rows.shape == (0, 8) and found.shape == (0,)


def test_a_table_is_a_source_for_another_store_and_format(tmp_path):
    rows = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
    generation = write(tmp_path / "a", None, rows)
    with StoreReader(tmp_path / "a") as reader, StoreWriter(tmp_path / "b") as writer:
        assert writer.write_table("t", reader.source("t")) == generation
        writer.write_table("small", reader.source("t"), "int8")
    with StoreReader(tmp_path / "b") as reader:
        small = np.concatenate([stored for _, stored in reader.rows(reader.record("small"))])
    assert (small == row_formats.encode_rows(rows, "int8")).all()


def test_a_path_without_a_store_says_what_makes_one(tmp_path):
    for path, words in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "has no RocksDB database"),
    ):
        with pytest.raises(StoreError, match=f"{path} {words}; `tf-hps load` or"):
            StoreReader(path)
    assert not (tmp_path / "none").exists()


def test_an_unknown_table_lists_what_there_is(tmp_path):
    generation = write(tmp_path / "s", None, np.ones((3, 2), np.float32))
    with StoreReader(tmp_path / "s") as reader:
        with pytest.raises(StoreError, match=rf"no table 'u'. It has: t \({generation}\)"):
            reader.record("u")
        with pytest.raises(StoreError, match="no table 't' of generation 00"):
            reader.record("t", "00")


def test_a_table_file_that_was_cut_is_an_error(tmp_path):
    write(tmp_path / "s", None, np.ones((5000, 16), np.float32))
    largest = max(glob.glob(str(tmp_path / "s" / "*.sst")), key=os.path.getsize)
    os.truncate(largest, os.path.getsize(largest) // 2)
    with pytest.raises(StoreError, match=r"s: Corruption|s: IO error"):
        StoreReader(tmp_path / "s")


def test_a_flipped_byte_is_found_when_its_row_is_read(tmp_path):
    write(tmp_path / "s", None, np.ones((5000, 16), np.float32))
    largest = max(glob.glob(str(tmp_path / "s" / "*.sst")), key=os.path.getsize)
    with open(largest, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
        with pytest.raises(StoreError, match="Corruption"):
            list(reader.rows(record))
        with pytest.raises(StoreError, match="Corruption"):
            reader.get(record, np.arange(50))
        assert reader.get(record, np.array([4999]))[1].all()


def test_rows_of_another_size_are_an_error(tmp_path):
    write(tmp_path / "s", None, np.ones((3, 2), np.float32))
    with StoreReader(tmp_path / "s") as reader:
        family = reader.record("t").column_family
    with rocksdict.Rdict(str(tmp_path / "s"), rocksdict.Options(raw_mode=True)) as database:
        database.get_column_family(family)[b"\x80" + bytes(7)] = b"short"
    with (
        StoreReader(tmp_path / "s") as reader,
        pytest.raises(StoreError, match="do not have 8 bytes"),
    ):
        list(reader.rows(reader.record("t")))


def test_readers_go_on_while_tables_come_and_go(tmp_path):
    path = tmp_path / "s"
    write(path, None, np.full((2000, 8), 7, np.float32), "kept")
    stop = threading.Event()
    failures = []

    def read():
        while not stop.is_set():
            try:
                with StoreReader(path) as reader:
                    rows = np.concatenate([r for _, r in reader.rows(reader.record("kept"))])
                assert rows.shape == (2000, 32) and (rows.view(np.float32) == 7).all()
            except Exception as error:
                failures.append(error)
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for value in range(10):
            with StoreWriter(path) as writer:
                rows = np.full((2000, 8), value, np.float32)
                writer.drop_table("t", writer.write_table("t", from_arrays(rows)))
    finally:
        stop.set()
        thread.join()
    assert failures == []
