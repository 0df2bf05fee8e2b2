"""A full disk while loading: an error that says so, and a store as it was."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tf_hps.store import RowSource, StoreError, StoreReader, StoreWriter, database, from_arrays

ROWS, DIM = 50_000, 64

# No file may grow above the limit, which RocksDB meets as it meets a full disk.
LOAD = f"""
import resource, sys
import numpy as np
from tf_hps.store import StoreError, StoreWriter, from_arrays
rows = np.ones(({ROWS}, {DIM}), np.float32)
keys = np.arange({ROWS})[::int(sys.argv[3])]
with StoreWriter(sys.argv[1]) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        writer.write_table("t", from_arrays(rows, keys))
    except StoreError as error:
        print(error)
"""


class Unknown(RowSource):
    """Rows whose number nobody tells, so that no look at the free space can help."""

    embedding_dim = DIM
    ascending = True

    def __iter__(self):
        for start in range(0, 1_000_000, 10_000):
            yield np.arange(start, start + 10_000), np.ones((10_000, DIM), np.float32)


def small_table():
    return from_arrays(np.full((10, DIM), 2, np.float32))


def check_store_is_as_it_was(path):
    with StoreReader(path) as reader:
        assert [record.name for record in reader.tables()] == ["former"]
    with StoreWriter(path) as writer:
        writer.write_table("next", small_table())
    with StoreReader(path) as reader:
        assert [record.name for record in reader.tables()] == ["former", "next"]
        assert sum(len(keys) for keys, _ in reader.rows(reader.record("next"))) == 10
    assert len(database.column_families(str(path))) == 2
    assert not (path / "loading").exists()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("limit", [1 << 16, 1 << 20, 10 << 20])
def test_a_limit_on_files_is_a_full_disk(tmp_path, limit, order):
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table("former", small_table())
    output = subprocess.check_output(
        [sys.executable, "-c", LOAD, tmp_path / "s", str(limit), str(order)], text=True
    )
    assert "Nothing was added to the store; make room and load again." in output
    assert str(tmp_path / "s") in output
    check_store_is_as_it_was(tmp_path / "s")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_is_named_and_nothing_is_registered(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk]).returncode:
        pytest.skip("no right to mount")
    try:
        with StoreWriter(disk / "s") as writer:
            writer.write_table("former", small_table())
            with pytest.raises(StoreError, match=r"the disk is full .* Nothing was added"):
                writer.write_table("t", Unknown())
        check_store_is_as_it_was(disk / "s")
    finally:
        subprocess.check_call(["umount", disk])


def test_a_table_that_cannot_fit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "free_bytes", lambda path: 1000)
    with (
        StoreWriter(tmp_path / "s") as writer,
        pytest.raises(StoreError, match="an array needs 2,640 bytes, the disk has 1,000 free"),
    ):
        writer.write_table("t", small_table())
