"""A snapshot before a bulk update, and the commit that takes it back."""

import json
import subprocess
import sys

import numpy as np
import pytest
from redis_server import port_of, redis_server
from segment_server import SegmentServer

from tf_hps.cli import main
from tf_hps.publish import Publisher
from tf_hps.store import StoreReader, StoreWriter, from_arrays

KEYS = np.arange(-500, 500)


def load(folder, rows, keys=KEYS, row_format=None):
    with StoreWriter(folder) as writer:
        return writer.write_table("t", from_arrays(rows, keys), row_format)


@pytest.mark.parametrize("row_format", ["float32", "float16", "int8"])
def test_after_a_rollback_a_server_has_the_snapshots_rows(tmp_path, capsys, row_format):
    random = np.random.default_rng(0)
    good = random.standard_normal((1000, 8)).astype(np.float32)
    load(tmp_path / "store", good, row_format=row_format)
    snapshot = ["snapshot", "--store", str(tmp_path / "store"), "--to", str(tmp_path / "then")]
    assert main(snapshot) == 0
    assert "t (files shared)" in capsys.readouterr().out

    # What a server's store is after a bad update: rows changed, rows gone and new ones.
    bad = good.copy()
    bad[100:130] += 1
    keys = np.concatenate([KEYS[50:], [10_000, 10_001]])
    generation = load(
        tmp_path / "store", np.concatenate([bad[50:], good[:2]]), keys, row_format=row_format
    )
    stream = str(tmp_path / "stream")
    roll_back = ["rollback", "--store", str(tmp_path / "store"), "--url", stream]
    roll_back += ["--snapshot", str(tmp_path / "then"), "--deployment", "shop"]
    assert main(roll_back) == 0
    out = capsys.readouterr().out
    assert f"t ({generation}): 80 rows, 2 erased" in out
    assert "Committed at 00000000000000000001.hpsu" in out

    server = SegmentServer(tmp_path / "stream").catch_up()
    headers = [frame.header for frame in server.frames]
    assert {header["deployment"] for header in headers} == {"shop"}
    assert {header.get("generation") for header in headers[:-1]} == {generation}
    assert [len(f.keys) for f in server.frames if f.header["kind"] == "erase"] == [2]
    # The server encodes: applied to its store, every row is bit for bit that of the snapshot.
    published = np.array(sorted(server.tables["t"]))
    applied = np.array([server.tables["t"][key] for key in published], np.float32)
    kept = np.isin(KEYS, published, invert=True) & (KEYS[50] <= KEYS)
    load(
        tmp_path / "after",
        np.concatenate([applied, good[kept]]),
        np.concatenate([published, KEYS[kept]]),
        row_format,
    )
    with StoreReader(tmp_path / "after") as after, StoreReader(tmp_path / "then") as then:
        assert after.record("t").generation == then.record("t").generation
    assert main([*roll_back[:2], str(tmp_path / "after"), *roll_back[3:]]) == 0
    assert "Nothing differs." in capsys.readouterr().out
    assert len(list((tmp_path / "stream").iterdir())) == 1


def test_a_rollback_goes_through_redis_too(tmp_path, capsys):
    rows = np.ones((1000, 4), np.float32)
    load(tmp_path / "then", rows)
    load(tmp_path / "store", rows * 2)
    with redis_server(tmp_path) as client:
        url = f"redis://127.0.0.1:{port_of(client)}"
        words = ["--snapshot", str(tmp_path / "then"), "--url", url, "--table", "t"]
        options = json.dumps({"stream": "eu", "part_bytes": 5000})
        assert (
            main(["rollback", "--store", str(tmp_path / "store"), "--options", options, *words])
            == 0
        )
        assert client.xlen("tf_hps/updates/{eu}") == 1
    assert "1,000 rows, 0 erased" in capsys.readouterr().out


def test_a_snapshot_of_a_store_that_another_process_writes(tmp_path, capsys):
    rows = np.random.default_rng(1).standard_normal((1000, 4)).astype(np.float32)
    generation = load(tmp_path / "store", rows)
    program = (
        f"from tf_hps.store import StoreWriter; w = StoreWriter({str(tmp_path / 'store')!r})\n"
        "print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holds:
        assert holds.stdout is not None and holds.stdout.readline() == "open\n"
        words = ["snapshot", "--store", str(tmp_path / "store"), "--to", str(tmp_path / "then")]
        assert main([*words, "--table", "t"]) == 0
        assert capsys.readouterr().out.endswith("then: t\n")
        holds.communicate("\n")
    with StoreReader(tmp_path / "then") as then:
        assert then.record("t").generation == generation


def test_rows_of_another_length_are_refused(tmp_path, capsys):
    load(tmp_path / "then", np.ones((1000, 4), np.float32))
    load(tmp_path / "store", np.ones((1000, 2), np.float32))
    words = ["--store", str(tmp_path / "store"), "--snapshot", str(tmp_path / "then")]
    assert main(["rollback", *words, "--url", str(tmp_path / "stream")]) == 2
    assert "embedding_dim of 2" in capsys.readouterr().err
    assert list((tmp_path / "stream").iterdir()) == []
    with Publisher(str(tmp_path / "stream"), "d", "g") as publisher:
        assert publisher.position == ""
