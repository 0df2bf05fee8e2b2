"""tf_hps._rocksdb: RocksDB's files written and read without TensorFlow."""

import pathlib
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import rocksdict

import tf_hps
from tf_hps._library import load_rocksdb
from tf_hps.store import StoreWriter, database, from_arrays

WRITE = """
import sys
import numpy as np
import tf_hps.store
with tf_hps.store.StoreWriter(sys.argv[1]) as writer:
    writer.write_table("t", tf_hps.store.from_arrays(np.ones((3, 2), np.float32)))
print(sorted({"tensorflow", "tf_hps._core", "tf_hps._rocksdb"}.intersection(sys.modules)))
"""


def new_file(folder, name="a.sst", row_bytes=8, compression="none"):
    return load_rocksdb().SstFile(str(folder / name), row_bytes, compression)


def rows_of(keys, row_bytes=8):
    """Every row says whose it is."""
    return np.repeat(keys.astype(np.uint8), row_bytes).reshape(len(keys), row_bytes)


def ingested(folder, names):
    """Keys and rows of a database that takes the files."""
    path = str(folder / "database")
    with rocksdict.Rdict(path, database.make_options()) as made:
        made.ingest_external_file([str(folder / name) for name in names])
        found = dict(database.scan(made, b""))
    return {int.from_bytes(key, "big") - (1 << 63): value for key, value in found.items()}


def test_files_that_several_threads_write_at_once_are_one_database(tmp_path):
    names = [f"{i}.sst" for i in range(4)]

    def write(i):
        file = new_file(tmp_path, names[i], compression=("none", "lz4")[i % 2])
        for start in range(i * 10_000, (i + 1) * 10_000, 2500):
            keys = np.arange(start, start + 2500) - 20_000
            file.add(keys, rows_of(keys))
        file.finish()

    threads = [threading.Thread(target=write, args=(i,)) for i in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = np.arange(-20_000, 20_000)
    expected = zip(keys.tolist(), rows_of(keys), strict=True)
    assert ingested(tmp_path, names) == {key: row.tobytes() for key, row in expected}


def test_other_threads_run_while_a_file_is_written(tmp_path):
    order = []
    file = new_file(tmp_path, row_bytes=256)
    keys = np.arange(200_000)
    rows = np.zeros((len(keys), 256), np.uint8)

    def write():
        order.append("begins")
        file.add(keys, rows)
        order.append("ends")

    interval = sys.getswitchinterval()
    # From here on a thread runs until it lets the others.
    sys.setswitchinterval(100)
    try:
        thread = threading.Thread(target=write)
        thread.start()
        order.append("meanwhile")
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert order.index("meanwhile") < order.index("ends")


KEYS, ROWS = np.arange(3), np.zeros((3, 8), np.uint8)


@pytest.mark.parametrize(
    ("keys", "rows", "message"),
    [
        (KEYS.astype(np.int32), ROWS, r"`keys` is int64 \[n\], contiguous. Received: int32 of"),
        (KEYS.reshape(3, 1), ROWS, r"Received: int64 of shape \(3, 1\)"),
        (np.arange(6)[::2], ROWS, r"Received: int64 of shape \(3,\) and strides \(16,\)"),
        (
            KEYS,
            ROWS[:2],
            r"`rows` is uint8 \[3, 8\], contiguous. Received: uint8 of shape \(2, 8\)",
        ),
        (KEYS, ROWS[:, :4], r"Received: uint8 of shape \(3, 4\)"),
        (KEYS, np.zeros((3, 16), np.uint8)[:, ::2], r"shape \(3, 8\) and strides \(16, 2\)"),
        (KEYS, ROWS.astype(np.float32), "Received: float32"),
        (np.array([1, 3, 3]), ROWS, "`keys` ascend. Received: 3 after 3"),
        (np.array([0, 1, -(1 << 63)]), ROWS, "Received: -9223372036854775808 after 1"),
    ],
)
def test_what_cannot_be_written_is_named_and_harms_nothing(tmp_path, keys, rows, message):
    file = new_file(tmp_path)
    with pytest.raises(ValueError, match=message):
        file.add(keys, rows)
    file.add(KEYS, ROWS)
    with pytest.raises(ValueError, match=r"`keys` ascend. Received: 2 after 2"):
        file.add(KEYS[2:], ROWS[2:])
    file.finish()
    assert list(ingested(tmp_path, ["a.sst"])) == [0, 1, 2]


def test_erased_keys_have_no_bytes(tmp_path):
    file = new_file(tmp_path)
    file.add(KEYS, ROWS, np.array([True, False, True]))
    with pytest.raises(ValueError, match=r"`erased` is bool \[3\], contiguous. Received: uint8"):
        file.add(KEYS + 3, ROWS, np.zeros(3, np.uint8))
    file.add(KEYS + 3, ROWS, None)
    file.finish()
    lengths = {key: len(value) for key, value in ingested(tmp_path, ["a.sst"]).items()}
    assert lengths == {0: 0, 1: 8, 2: 0, 3: 8, 4: 8, 5: 8}


def test_what_rocksdb_refuses_is_an_os_error_in_its_words(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        new_file(tmp_path / "none")
    with pytest.raises(ValueError, match=r"`compression` is one of .* Received: 'zlib'"):
        new_file(tmp_path, compression="zlib")
    with pytest.raises(ValueError, match=r"`row_bytes` is at least 1. Received: 0"):
        new_file(tmp_path, row_bytes=0)
    with pytest.raises(OSError, match="no entries"):
        new_file(tmp_path).finish()
    file = new_file(tmp_path)
    file.add(KEYS, ROWS)
    file.finish()
    with pytest.raises(OSError, match="not opened"):
        file.add(KEYS + 3, ROWS)


def test_a_store_is_written_without_tensorflow(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WRITE, tmp_path / "s"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['tf_hps._rocksdb']"


def test_a_package_that_was_not_built_says_how_to(tmp_path):
    package = pathlib.Path(tf_hps.__file__).parent
    shutil.copytree(package, tmp_path / "tf_hps", ignore=shutil.ignore_patterns("*.so"))
    # Without site: an editable installation would find the module in the package that was built.
    installed = pathlib.Path(np.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-S", "-c", WRITE, tmp_path / "s"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{installed}"},
        capture_output=True,
        text=True,
    )
    assert "ImportError: tf_hps has no tf_hps._rocksdb beside" in done.stderr
    assert "Build it: `./run build`" in done.stderr
    assert not (tmp_path / "s" / "loading").exists()


@pytest.fixture
def store(tmp_path):
    """A store with keys -500 to 499, and its table's column family."""
    keys = np.arange(-500, 500)
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table("t", from_arrays(rows_of(keys).view(np.float32), keys))
        family = writer.tables()[0].column_family
    return str(tmp_path / "s"), family


def test_a_database_is_read_in_ranges_and_by_key(store):
    path, family = store
    opened = load_rocksdb().Database(path)
    assert opened.families() == [family] and opened.disk_bytes(family) > 8000
    cursor = opened.rows(family, 8, -3, 4)
    batches = [cursor.next(3), cursor.next(3), cursor.next(3), cursor.next(3)]
    assert batches.pop() is None
    assert [keys.tolist() for keys, _, _ in batches] == [[-3, -2, -1], [0, 1, 2], [3, 4]]
    for keys, rows, erased in batches:
        np.testing.assert_array_equal(rows, rows_of(keys))
        assert rows.shape == (len(keys), 8) and not erased.any()
    asked = np.random.default_rng(0).integers(-600, 600, 5000)
    rows, found, erased = opened.get_rows(family, 8, asked)
    there = (asked >= -500) & (asked < 500)
    np.testing.assert_array_equal(found, there)
    np.testing.assert_array_equal(rows[there], rows_of(asked)[there])
    assert not rows[~there].any() and not erased.any()


def test_a_closed_database_says_so_and_its_cursors_read_on(store):
    path, family = store
    opened = load_rocksdb().Database(path)
    cursor = opened.rows(family, 8, 0, 9)
    opened.close()
    opened.close()
    with pytest.raises(ValueError, match="the database was closed"):
        opened.get(b"x")
    del opened
    assert cursor.next(100)[0].tolist() == list(range(10))


def test_what_a_database_does_not_have_is_an_error(store):
    path, family = store
    opened = load_rocksdb().Database(path)
    assert opened.get(b"none") is None
    assert [key for key, _ in opened.items(b"tf_hps/", 1)] == [b"tf_hps/format_version"]
    assert opened.items(b"x", 5) == []
    with pytest.raises(OSError, match="Column family not found: rows/u"):
        opened.rows("rows/u", 8, 0, 1)
    with pytest.raises(OSError, match="Column family not found: rows/u"):
        opened.get_rows("rows/u", 8, KEYS)
    with pytest.raises(OSError, match=f"{family} has rows that do not have 9 bytes: that of key"):
        opened.rows(family, 9, 0, 1).next(1)
    with pytest.raises(OSError, match="do not have 7 bytes: that of key 1 has 8"):
        opened.get_rows(family, 7, KEYS[1:])
    with pytest.raises(ValueError, match=r"`row_bytes` is at least 1. Received: 0"):
        opened.rows(family, 0, 0, 1)
    with pytest.raises(ValueError, match=r"`most` is at least 1. Received: 0"):
        opened.rows(family, 8, 0, 1).next(0)
    with pytest.raises(ValueError, match=r"`keys` is int64 \[n\], contiguous. Received: float64"):
        opened.get_rows(family, 8, KEYS.astype(float))
    with pytest.raises(OSError, match="No such file or directory"):
        load_rocksdb().Database(path + "/none")
