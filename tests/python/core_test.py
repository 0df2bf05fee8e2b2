"""tf_hps._core: the C door from Python. Failures of every kind become exceptions, and all goes on."""

import gc
import json
import os

import numpy as np
import pytest
from tables import filled_table, memory_config, rocksdb_config, rows_of

import tf_hps
from tf_hps import _library, errors

core = _library.load_core()
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@pytest.fixture
def table():
    table = core.Table(memory_config().path(), "movie_id")
    table.insert([3, 1, INT64_MIN, INT64_MAX], rows_of([3, 1, 7, 8]).view(np.uint8))
    return table


def test_spec(table):
    spec = table.spec
    assert (spec["name"], spec["embedding_dim"], spec["row_format"]) == ("movie_id", 4, "float32")
    assert spec["row_bytes"] == 16


def test_lookup_gives_the_default_row_to_unknown_keys(table):
    expected = [rows_of(1), np.zeros(4), rows_of(7), rows_of(8)]
    np.testing.assert_array_equal(table.lookup([1, 2, INT64_MIN, INT64_MAX]), expected)
    assert table.lookup(np.zeros(0, np.int64)).shape == (0, 4)


def test_find_says_what_is_stored(table):
    rows, found = table.find([1, 2, 3])
    assert found.tolist() == [True, False, True]
    np.testing.assert_array_equal(rows.view(np.float32), [rows_of(1), np.zeros(4), rows_of(3)])


def test_erase_and_stats(table):
    table.erase([1, 3, 5])
    assert table.stats()["rows"] == 2


def test_scan_of_a_range_in_small_batches(table):
    batches = list(table.scan(first=0, last=INT64_MAX, batch_size=2))
    assert all(len(keys) <= 2 and rows.shape == (len(keys), 16) for keys, rows in batches)
    assert sorted(key for keys, _ in batches for key in keys.tolist()) == [1, 3, INT64_MAX]


def test_a_scanner_holds_its_table():
    scanner = core.Table(memory_config().path(), "movie_id").scan()
    gc.collect()
    assert list(scanner) == []


@pytest.mark.parametrize("row_format", ["float32", "float16", "bfloat16", "int8"])
def test_encoding_and_decoding(row_format):
    elements = np.array([[1, -2, 0.5, 127], [0, 0, 0, 0], [64, 127, -127, 1]], np.float32)
    encoded = core.encode_rows(row_format, elements)
    assert encoded.dtype == np.uint8
    np.testing.assert_allclose(
        core.decode_rows(row_format, 4, encoded),
        elements,
        rtol=0,
        atol=0.5 if row_format == "int8" else 0,
    )


def test_a_float64_is_rounded_and_a_half_is_widened():
    assert core.encode_rows("float32", np.array([[0.1]])).view(np.float32) == np.float32(0.1)
    assert core.encode_rows("float32", np.array([[0.5]], np.float16)).view(np.float32) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.lookup([[1]]), r"`keys` has shape \[n\]. Received: 2 dimensions"),
        (
            lambda t: t.insert([1, 2], np.zeros([2, 15], np.uint8)),
            r"`rows` has shape \[2, 16\]. Received: \(2, 15\)",
        ),
        (lambda t: t.insert([1, 2], np.zeros([1, 16], np.uint8)), r"`rows` has shape \[2, 16\]"),
        (lambda t: t.scan(batch_size=0), "`batch_size` is at least 1"),
        (lambda t: core.encode_rows("int4", np.zeros([1, 4])), '`row_format` is one of .*"int4"'),
        (
            lambda t: core.decode_rows("float32", 0, np.zeros([1, 0], np.uint8)),
            "`embedding_dim` is at least 1",
        ),
        (lambda t: core.decode_rows("int8", 4, np.zeros([1, 4], np.uint8)), r"\[1, 8\]"),
        (lambda t: core.check_config('{"format_version": 1, "memroy": {}}', "/"), "memroy"),
        (lambda t: core.check_config("{", "/"), "."),
    ],
)
def test_arguments_that_make_no_sense(table, call, message):
    with pytest.raises(ValueError, match=message):
        call(table)
    np.testing.assert_array_equal(table.lookup([1]), rows_of([1]))


@pytest.mark.parametrize("keys", [[1.0], np.array([1], np.uint64), ["a"]])
def test_keys_of_other_types_are_refused(table, keys):
    for call in [table.lookup, table.find, table.erase]:
        with pytest.raises(TypeError, match=r"`keys` are integers of at most 64 bits. Received: "):
            call(keys)


def test_what_is_not_there():
    with pytest.raises(errors.NotFoundError, match=r"/nowhere/hps.json"):
        core.Table("/nowhere/hps.json", "movie_id")
    with pytest.raises(LookupError, match=r'no table "genre"'):
        core.Table(memory_config().path(), "genre")
    with pytest.raises(errors.NotFoundError, match=r"/nowhere"):
        core.store_checkpoint("/nowhere", "/tmp/copy")


def test_a_read_only_store_is_not_written(tmp_path):
    filled_table([1], rocksdb_config(tmp_path / "store"))
    gc.collect()
    config = tf_hps.Config(
        deployment="core-read-only",
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store"), read_only=True),
        tables={"movie_id": tf_hps.TableConfig()},
    )
    table = core.Table(config.path(), "movie_id")
    with pytest.raises(errors.FailedPreconditionError, match=r"read-only"):
        table.insert([2], rows_of([2]).view(np.uint8))
    np.testing.assert_array_equal(table.lookup([1, 2]), [rows_of(1), np.zeros(4)])


def test_open_stores_and_their_copies(tmp_path):
    store = tmp_path / "store"
    table = filled_table([1, 2], rocksdb_config(store))
    assert {"path": str(store), "read_only": False} in core.open_stores()
    core.store_checkpoint(str(store), str(tmp_path / "copy"))
    table.erase([1])
    copy = tf_hps.Table("movie_id", rocksdb_config(tmp_path / "copy"))
    np.testing.assert_array_equal(tf_hps.embedding_lookup(copy, [1, 2]), rows_of([1, 2]))
    with pytest.raises(ValueError, match=r"/copy.*exists"):
        core.store_checkpoint(str(store), str(tmp_path / "copy"))


def test_configuration_is_explained(monkeypatch):
    path = memory_config().path()
    monkeypatch.setenv("TF_HPS_MEMORY_CAPACITY_ROWS", "1000")
    values = {entry["name"]: entry for entry in core.explain_config(path)}
    assert values["memory.capacity_rows"]["value"] == 1000
    assert values["memory.capacity_rows"]["origin"] == "TF_HPS_MEMORY_CAPACITY_ROWS"
    with open(path) as file:
        core.check_config(file.read(), os.path.dirname(path))


def test_the_schema_names_every_section():
    assert set(core.config_schema()["sections"]) == {
        "gpu_cache",
        "memory",
        "redis",
        "rocksdb",
        "updates",
    }
    json.dumps(core.config_schema())


def test_build_info():
    info = core.build_info()
    assert info["version"] == tf_hps.__version__
    assert info["tensorflow"].startswith("2.21.")
    assert info["cpu_isa"] in ("portable", "avx2", "avx512")
    assert info["rocksdb"]


def test_every_status_code_has_an_exception():
    assert errors.exception_type("INVALID_ARGUMENT") is ValueError
    assert errors.exception_type("DATA_LOSS") is errors.DataLossError
    assert errors.exception_type("INTERNAL") is errors.HpsError
    assert issubclass(errors.NotFoundError, LookupError)
