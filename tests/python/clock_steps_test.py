"""A server whose machine's clock is set back and forth while it follows a stream."""

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

import tf_hps

HERE = pathlib.Path(__file__).resolve().parent / "stepping_clock"
ROOT = HERE.parent.parent.parent
HOUR = 3600


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("clock") / "stepping_clock.so"
    source = HERE / "stepping_clock.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"], check=True, timeout=60
    )
    return path


@pytest.fixture
def server(library, tmp_path):
    """Follows `stream`, with a clock that is as far off as the file `clock` says."""
    (tmp_path / "stream").mkdir()
    clock = tmp_path / "clock"
    clock.write_text("0")
    config = tf_hps.Config(
        deployment="movies",
        memory=tf_hps.MemoryConfig(),
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store")),
        updates=tf_hps.UpdatesConfig(url=str(tmp_path / "stream")),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=4, ttl_s=1000)},
    )
    config.save(tmp_path / "hps.json")
    environment = {
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": str(library),
        "STEPPING_CLOCK": str(clock),
    }
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(tmp_path / "hps.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        yield process
        process.kill()


def test_commits_are_applied_whatever_the_clock_says(server, tmp_path):
    generation = json.loads(server.stdout.readline())["generation"]
    with tf_hps.Publisher(
        str(tmp_path / "stream"), "movies", {"movie_id": generation}
    ) as publisher:
        for value, offset in enumerate((0, HOUR, -HOUR, 24 * HOUR, 0, -24 * HOUR), 1):
            (tmp_path / "clock").write_text(str(offset))
            publisher.publish("movie_id", np.arange(3), np.full((3, 4), value, np.float32))
            print(publisher.commit(), file=server.stdin, flush=True)
            seen = json.loads(server.stdout.readline())
            assert abs(seen["now"] - time.time() - offset) < 60
            assert seen["rows"] == [value] * 3
            assert seen["state"] == "following"
            assert seen["lag_ms"] >= 0
            # By the trainer's clock nothing is old.
            assert seen["growth"]["expired"] == 0
