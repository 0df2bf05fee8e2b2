"""copy_store: some tables, whole or not at all, from a store in any state."""

import errno
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from tf_hps.store import (
    StoreError,
    StoreInUseError,
    StoreReader,
    StoreWriter,
    database,
    from_arrays,
)
from tf_hps.store.copy import copy_store

HOLD = """
import sys
from tf_hps.store import StoreWriter
with StoreWriter(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def rows_of(value):
    return from_arrays(np.full((100, 4), value, np.float32))


@pytest.fixture
def store(tmp_path):
    with StoreWriter(tmp_path / "s") as writer:
        old = writer.write_table("t", rows_of(1))
        new = writer.write_table("t", rows_of(2))
        other = writer.write_table("other", rows_of(3))
    return types.SimpleNamespace(path=tmp_path / "s", old=old, new=new, other=other)


def tables_of(path):
    found = {}
    with StoreReader(path) as reader:
        for record in reader.tables():
            rows = np.concatenate([rows for _, rows in reader.rows(record)]).view(np.float32)
            assert rows.shape == (100, 4) and (rows == rows[0, 0]).all()
            found[record.name, record.generation] = rows[0, 0]
    return found


def test_only_the_generations_asked_for_are_copied(tmp_path, store):
    copy_store(store.path, tmp_path / "new" / "c", {"t": store.old})
    assert tables_of(tmp_path / "new" / "c") == {("t", store.old): 1}
    families = database.column_families(str(tmp_path / "new" / "c"))
    assert families == [f"rows/t/{store.old}"]
    assert len(tables_of(store.path)) == 3
    # Another copy, a reader and a writer of both go on.
    copy_store(tmp_path / "new" / "c", tmp_path / "d", {"t": store.old})
    with StoreWriter(tmp_path / "d") as writer:
        writer.write_table("more", rows_of(4))
    assert len(tables_of(tmp_path / "new" / "c")) == 1


def test_table_files_are_shared_and_the_copy_outlives_the_store(tmp_path, store):
    copy_store(store.path, tmp_path / "c", {"t": store.new, "other": store.other})
    inodes = {entry.inode() for entry in os.scandir(store.path) if entry.name.endswith(".sst")}
    assert len(inodes & {entry.inode() for entry in os.scandir(tmp_path / "c")}) >= 2
    with StoreWriter(store.path) as writer:
        writer.drop_table("t", store.new)
    expected = {("t", store.new): 2, ("other", store.other): 3}
    assert tables_of(tmp_path / "c") == expected


def test_without_hard_links_files_are_copied(tmp_path, store, monkeypatch):
    def no_link(source, target):
        raise OSError(errno.EXDEV, "other disk")

    monkeypatch.setattr(os, "link", no_link)
    copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert tables_of(tmp_path / "c") == {("t", store.new): 2}


def test_a_store_that_this_process_writes_is_copied_with_its_last_table(tmp_path, store):
    with StoreWriter(store.path) as writer:
        generation = writer.write_table("now", rows_of(5))
        copy_store(store.path, tmp_path / "c", {"now": generation})
        assert tables_of(tmp_path / "c") == {("now", generation): 5}
        # RocksDB's lock still holds.
        child = "import sys; from tf_hps.store import *\ntry: StoreWriter(sys.argv[1])\n"
        child += "except StoreInUseError: print('locked')"
        output = subprocess.check_output([sys.executable, "-c", child, store.path], text=True)
        assert output == "locked\n"


def test_a_store_that_this_process_reads_is_copied(tmp_path, store):
    with StoreReader(store.path):
        copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert tables_of(tmp_path / "c") == {("t", store.new): 2}


@pytest.mark.parametrize("read_only", [False, True])
def test_the_op_library_copies_a_store_that_it_writes(tmp_path, store, monkeypatch, read_only):
    asked = []

    def checkpoint(path, target):
        asked.append(path)
        with StoreWriter(path) as writer:
            writer.checkpoint(target)

    stores = [{"path": str(store.path), "read_only": read_only}]
    core = types.SimpleNamespace(open_stores=lambda: stores, store_checkpoint=checkpoint)
    monkeypatch.setitem(sys.modules, "tf_hps._core", core)
    monkeypatch.setattr("tf_hps.store.owners.check_not_open_for_writing", lambda path: None)
    copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert tables_of(tmp_path / "c") == {("t", store.new): 2}
    assert asked == ([] if read_only else [str(store.path)])


def test_a_store_that_another_process_writes_is_an_error(tmp_path, store):
    command = [sys.executable, "-c", HOLD, store.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreInUseError, match="is open for writing in another process"):
            copy_store(store.path, tmp_path / "c", {"t": store.new})
        holder.stdin.close()
    assert not (tmp_path / "c").exists() and not (tmp_path / "c.partial").exists()
    copy_store(store.path, tmp_path / "c", {"t": store.new})


def test_an_unknown_table_or_generation_lists_what_there_is(tmp_path, store):
    with pytest.raises(StoreError, match=rf"has no table 'x'.* It has: t \({store.old}\), "):
        copy_store(store.path, tmp_path / "c", {"t": store.new, "x": store.new})
    with pytest.raises(StoreError, match="has no table 'other' of generation 00"):
        copy_store(store.path, tmp_path / "c", {"other": "00"})
    assert not (tmp_path / "c").exists()


def test_a_target_that_exists_is_left_alone(tmp_path, store):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "file").write_text("x")
    with pytest.raises(StoreError, match="exists already"):
        copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert (tmp_path / "c" / "file").read_text() == "x"


def test_a_copy_that_fails_leaves_nothing_and_the_next_works(tmp_path, store, monkeypatch):
    (tmp_path / "c.partial").mkdir()
    (tmp_path / "c.partial" / "left").write_text("by a killed copy")
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="disk is full"):
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert sorted(os.listdir(tmp_path)) == ["s"]
    copy_store(store.path, tmp_path / "c", {"t": store.new})
    assert tables_of(tmp_path / "c") == {("t", store.new): 2}
    assert "left" not in os.listdir(tmp_path / "c")
