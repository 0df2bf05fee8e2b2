import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from tf_hps.config import Config, GpuCacheConfig, MemoryConfig, RocksdbConfig, TableConfig

TOP = pathlib.Path(__file__).parents[2]

WHOLE = Config(
    deployment="ratings/eu",
    memory=MemoryConfig(capacity_rows=10, capacity_bytes=8e9, eviction="lfu", preload=False),
    rocksdb=RocksdbConfig("../hps", read_only=True, block_cache_bytes=0, state_dir="state"),
    tables={
        "movie_id": TableConfig(
            generation="live-5f0c",
            embedding_dim=2,
            row_format="int8",
            default_row=[0.5, -1],
            out_of_range="error",
            vocabulary_size=9724,
            max_rows=50_000,
            ttl_s=86400,
            when_full="reject",
            memory=MemoryConfig(capacity_rows=5),
            rocksdb=RocksdbConfig(read_only=False),
        ),
        "user/id": TableConfig(default_row={"id": -7}, memory=False),
        "gr": TableConfig(),
    },
)


def test_every_field_is_written_and_none_is_not():
    assert json.loads(WHOLE.to_json()) == {
        "format_version": 1,
        "deployment": "ratings/eu",
        "memory": {
            "capacity_rows": 10,
            "capacity_bytes": 8000000000,
            "eviction": "lfu",
            "preload": False,
        },
        "rocksdb": {
            "path": "../hps",
            "read_only": True,
            "block_cache_bytes": 0,
            "state_dir": "state",
        },
        "tables": {
            "movie_id": {
                "generation": "live-5f0c",
                "embedding_dim": 2,
                "row_format": "int8",
                "default_row": [0.5, -1.0],
                "out_of_range": "error",
                "vocabulary_size": 9724,
                "max_rows": 50_000,
                "ttl_s": 86400,
                "when_full": "reject",
                "memory": {"capacity_rows": 5},
                "rocksdb": {"read_only": False},
            },
            "user/id": {"default_row": {"id": -7}, "memory": None},
            "gr": {},
        },
    }
    assert json.loads(Config(memory=MemoryConfig()).to_json()) == {
        "format_version": 1,
        "deployment": "default",
        "memory": {},
        "tables": {},
    }


def test_a_saved_config_loads_equal(tmp_path):
    WHOLE.save(tmp_path / "hps.json")
    loaded = Config.load(tmp_path / "hps.json")
    assert loaded == WHOLE
    assert loaded.to_json() == WHOLE.to_json()
    assert loaded.path() == str(tmp_path / "hps.json")


def test_null_is_as_if_left_out(tmp_path):
    file = tmp_path / "hps.json"
    file.write_text('{"format_version": 1, "memory": {"eviction": null}, "rocksdb": null}')
    assert Config.load(file) == Config(memory=MemoryConfig())


def test_save_replaces_the_file_at_once_and_leaves_nothing_else(tmp_path):
    file = tmp_path / "hps.json"
    file.write_text("old")
    with open(file) as reader:
        Config(memory=MemoryConfig()).save(file)
        assert reader.read() == "old"
    assert os.listdir(tmp_path) == ["hps.json"]
    assert file.stat().st_mode & 0o077 == 0o077 & 0o666 & ~_umask()


def test_a_failed_save_keeps_the_file(tmp_path, monkeypatch):
    file = tmp_path / "hps.json"
    file.write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        WHOLE.save(file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["hps.json"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_path_writes_absolute_paths_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(
        rocksdb=RocksdbConfig("store"),
        tables={"a": TableConfig(rocksdb=RocksdbConfig("../a")), "b": TableConfig()},
    )
    path = config.path()
    written = json.loads(pathlib.Path(path).read_text())
    assert written["rocksdb"]["path"] == str(tmp_path / "store")
    assert written["tables"]["a"]["rocksdb"]["path"] == str(tmp_path.parent / "a")
    assert written["tables"]["b"] == {}
    assert config.path() == path
    assert Config(rocksdb=RocksdbConfig("gs://bucket/x")).path() != path
    assert (
        "gs://bucket/x"
        in pathlib.Path(Config(rocksdb=RocksdbConfig("gs://bucket/x")).path()).read_text()
    )


def test_a_changed_config_is_not_the_file_it_came_from(tmp_path):
    WHOLE.save(tmp_path / "hps.json")
    changed = dataclasses.replace(Config.load(tmp_path / "hps.json"), deployment="us")
    assert changed.path() != str(tmp_path / "hps.json")
    # Relative paths still start at the file they were read from.
    assert changed.absolute().rocksdb.path == str(tmp_path.parent / "hps")


def test_the_temporary_folder_goes_with_the_process():
    script = (
        "import os\n"
        "from tf_hps.config import Config, MemoryConfig\n"
        "path = Config(memory=MemoryConfig()).path()\n"
        "child = os.fork()\n"
        "if child == 0: raise SystemExit\n"
        "os.waitpid(child, 0)\n"
        "assert os.path.exists(path)\n"
        "print(path)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert not os.path.exists(os.path.dirname(os.path.dirname(done.stdout.strip())))


def test_importing_config_does_not_import_tensorflow():
    script = "import sys, tf_hps.config; assert 'tensorflow' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(TOP)}, check=True
    )


def test_numpy_values_are_taken():
    table = TableConfig(embedding_dim=np.int64(2), default_row=np.array([1, 2], np.float32))
    assert table.embedding_dim == 2
    assert table.default_row == [1.0, 2.0]
    assert Config(tables={"a": table}).to_json()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            MemoryConfig,
            {"capacity_rows": float("nan")},
            "`capacity_rows` is a whole number from 1 on",
        ),
        (MemoryConfig, {"capacity_bytes": float("inf")}, "Received: capacity_bytes=inf"),
        (MemoryConfig, {"capacity_rows": 1.5}, "Received: capacity_rows=1.5"),
        (MemoryConfig, {"capacity_rows": True}, "Received: capacity_rows=True"),
        (MemoryConfig, {"capacity_rows": "10"}, "Received: capacity_rows='10'"),
        (MemoryConfig, {"capacity_rows": 2**63}, "Received: capacity_rows=9223372036854775808"),
        (
            MemoryConfig,
            {"eviction": "fifo"},
            "`eviction` is one of lfu, lru. Received: eviction='fifo'",
        ),
        (MemoryConfig, {"eviction": ["lru"]}, "`eviction` is one of"),
        (MemoryConfig, {"preload": 1}, "`preload` is True or False. Received: preload=1"),
        (GpuCacheConfig, {"capacity_rows": 0}, "`capacity_rows` is a whole number from 1 on"),
        (GpuCacheConfig, {"capacity_bytes": 0}, "`capacity_bytes` is a whole number from 1 on"),
        (RocksdbConfig, {"path": ""}, "`path` is a path. Received: path=''"),
        (RocksdbConfig, {"path": 3}, "Received: path=3"),
        (RocksdbConfig, {"path": b"/x"}, "Received: path=b'/x'"),
        (
            RocksdbConfig,
            {"block_cache_bytes": -1},
            "`block_cache_bytes` is a whole number from 0 on",
        ),
        (TableConfig, {"generation": "A"}, "`generation` is made of [a-z0-9] with - inside"),
        (TableConfig, {"embedding_dim": 0}, "`embedding_dim` is a whole number from 1 to 16777216"),
        (TableConfig, {"row_format": "float64"}, "`row_format` is one of float32, float16,"),
        (TableConfig, {"default_row": "ones"}, '`default_row` is "zeros", a list of finite'),
        (TableConfig, {"default_row": []}, "Received: default_row=[]"),
        (TableConfig, {"default_row": [float("nan")]}, "Received: default_row=[nan]"),
        (TableConfig, {"default_row": [1e39]}, "Received: default_row=[1e+39]"),
        (TableConfig, {"default_row": [10**400]}, "`default_row` is"),
        (TableConfig, {"default_row": [[1.0]]}, "Received: default_row=[[1.0]]"),
        (TableConfig, {"default_row": {"id": None}}, "Received: default_row={'id': None}"),
        (TableConfig, {"default_row": {"id": 1, "x": 2}}, "`default_row` is"),
        (TableConfig, {"default_row": [1.0], "embedding_dim": 2}, "Received: 1 elements"),
        (
            TableConfig,
            {"out_of_range": "clip"},
            "`out_of_range` is one of default_row, error, wrap",
        ),
        (TableConfig, {"out_of_range": "error"}, "needs a `vocabulary_size` of at least 1"),
        (TableConfig, {"max_rows": 0}, "`max_rows` is a whole number from 1"),
        (TableConfig, {"when_full": "panic"}, "`when_full` is one of evict_oldest, reject"),
        (TableConfig, {"when_full": "reject"}, "needs a `max_rows`"),
        (TableConfig, {"ttl_s": 5, "updates": False}, "bound what a stream of updates brings"),
        (TableConfig, {"memory": {"capacity_rows": 1}}, "`memory` is a MemoryConfig. Received:"),
        (Config, {"deployment": "a b"}, "`deployment` is made of [A-Za-z0-9_.-] with / inside"),
        (Config, {"deployment": None}, "Received: deployment=None"),
        (Config, {"memory": False}, "`memory` is a MemoryConfig. Received: memory=False"),
        (Config, {"tables": ["a"]}, "`tables` is a dict of TableConfig by name"),
        (Config, {"tables": {"a/": TableConfig()}}, "`table name` is made of"),
        (Config, {"tables": {"a\n": TableConfig()}}, "`table name` is made of"),
        (Config, {"tables": {"a": {}}}, "`tables['a']` is a TableConfig. Received: {}"),
        (
            Config,
            {"tables": {"a": TableConfig(memory=MemoryConfig())}},
            "`tables['a'].memory` overrides a tier that the deployment does not have",
        ),
    ],
)
def test_bad_values_are_named_in_the_users_words(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value: line 1 column 1"),
        ('{"format_version": 1, "memory": {"capacity_rows": NaN}}', "NaN is no JSON value"),
        ("[1]", "the document is an object. Received: [1]"),
        ("{}", "`format_version` is a whole number from 1 to 1. Received: None"),
        ('{"format_version": true}', "Received: True"),
        (
            '{"format_version": 2, "new": 1}',
            "has format_version 2, this tf_hps reads versions up to 1",
        ),
        (
            '{"format_version": 1, "memroy": {}}',
            "unknown 'memroy' in hps.json. Known: format_version, deployment, memory, redis, rocksdb, updates, tables",
        ),
        ('{"format_version": 1, "folder": "/"}', "unknown 'folder'"),
        (
            '{"format_version": 1, "memory": {"size": 1}}',
            "unknown 'size' in `memory`. Known: capacity_rows, capacity_bytes, eviction, preload, "
            "hot_keys_path, save_hot_keys_s",
        ),
        ('{"format_version": 1, "memory": []}', "`memory` is an object. Received: []"),
        (
            '{"format_version": 1, "memory": {"preload": "no"}}',
            "`memory`: `preload` is True or False",
        ),
        (
            '{"format_version": 1, "memory": {}, "tables": {"a": {"memory": {"x": 1}}}}',
            "unknown 'x' in `tables.a.memory`",
        ),
        (
            '{"format_version": 1, "tables": {"a": {"dim": 1}}}',
            "unknown 'dim' in `tables.a`. Known: generation, embedding_dim,",
        ),
        ('{"format_version": 1, "tables": {"a": 1}}', "`tables.a` is an object. Received: 1"),
        ('{"format_version": 1, "tables": 1}', "`tables` is an object. Received: 1"),
        ('{"format_version": 1, "format_version": 1}', "the key 'format_version' stands twice"),
        ("[" * 100000, "nested too deep"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    file = tmp_path / "hps.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        Config.load(file)
    assert str(error.value).startswith(f"{file}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        Config.load(tmp_path / "gone.json")


def test_a_config_does_not_change():
    tables = {"a": TableConfig()}
    config = Config(tables=tables)
    tables["b"] = TableConfig()
    assert list(config.tables) == ["a"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.deployment = "other"
