"""A stream in Redis, from the trainer's side: each commit once, whatever happens on the way."""

import logging

import numpy as np
import pytest
from redis_server import port_of, redis_server

from tf_hps.errors import DataLossError, FailedPreconditionError, UnavailableError
from tf_hps.publish import Publisher, read_frames
from tf_hps.publish.sinks import open_sink

BASE = "tf_hps/updates/{updates}"


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path) as client:
        yield client


def url_of(server):
    return f"redis://127.0.0.1:{port_of(server)}"


def entries(server):
    """The numbers of the commits that are there, and their bytes."""
    found = {}
    for name, fields in server.xrange(BASE):
        data = fields.get(b"f")
        if data is None:
            parts = server.hgetall(fields[b"p"])
            data = b"".join(parts[str(i).encode()] for i in range(int(fields[b"c"])))
        found[int(name.split(b"-")[0])] = data
    return found


def test_a_commit_is_an_entry_as_the_documentation_says(server):
    with Publisher(url_of(server), "movies", "g") as publisher:
        publisher.publish("user", [1, 2], [[1, 2], [3, 4]])
        lineage, number = publisher.commit().split(":")
        publisher.erase("user", [1])
        assert publisher.commit() == f"{lineage}:{2:020d}"
        assert publisher.position == f"{lineage}:{2:020d}"
    assert number == f"{1:020d}" and len(lineage) == 16
    assert server.hgetall(f"{BASE}/head") == {
        b"lineage": lineage.encode(),
        b"last": b"2",
        b"first": b"1",
        b"bytes": str(sum(map(len, entries(server).values()))).encode(),
        b"dropped": b"0",
    }
    assert server.hget(f"{BASE}/publishers", publisher.id) == b"4 2"
    kinds = [
        [frame.header["kind"] for frame in read_frames(data)] for data in entries(server).values()
    ]
    assert kinds == [["rows", "commit"], ["erase", "commit"]]


@pytest.mark.parametrize("part_bytes", [4 << 20, 100])
def test_a_commit_that_is_written_again_is_there_once(server, part_bytes):
    sink = open_sink(url_of(server), {"part_bytes": part_bytes})
    position = sink.write([b"a" * 300, b"b"], "p", 0, 2)
    assert sink.write([b"a" * 300, b"b"], "p", 0, 2) == position
    # Nobody heard of the first, and there is more by now: servers know what they have.
    again = sink.write([b"a" * 300, b"b", b"c"], "p", 0, 3)
    assert again > position
    assert sink.write([b"d"], "p", 3, 4) > again
    assert list(entries(server).values()) == [b"a" * 300 + b"b", b"a" * 300 + b"bc", b"d"]
    with pytest.raises(DataLossError, match="up to 4, and these begin at 5"):
        sink.write([b"e"], "p", 5, 6)
    with pytest.raises(DataLossError, match="lost what came before"):
        sink.write([b"e"], "unknown", 7, 8)


def test_a_part_that_comes_late_leaves_nothing_behind(server):
    from tf_hps.publish.redis_scripts import STAGE

    sink = open_sink(url_of(server), {"part_bytes": 10})
    sink.write([b"x" * 25], "p", 0, 1)
    (parts,) = server.keys(f"{BASE}/parts/*")
    assert server.ttl(parts) == -1, "or volatile-* policies would evict it"
    server.delete(parts)
    assert server.eval(STAGE, 2, f"{BASE}/publishers", parts, "p", 1, 0, b"x", 100) == 0
    assert server.exists(parts) == 0


def test_parts_that_redis_lost_are_sent_again(server):
    sink = open_sink(url_of(server), {"part_bytes": 10})
    script = sink._run
    lost = []

    def lose_the_first(text, keys, arguments):
        done = script(text, keys, arguments)
        if not lost:
            lost.append(server.hdel(keys[1], "0"))
        return done

    sink._run = lose_the_first
    sink.write([b"0123456789abcdefghij__"], "p", 0, 1)
    assert lost == [1]
    assert list(entries(server).values()) == [b"0123456789abcdefghij__"]


def test_publishers_of_one_stream_lose_nothing(server):
    sinks = [open_sink(url_of(server), {}) for _ in range(3)]
    for i in range(30):
        sinks[i % 3].write([b"%d" % i], f"p{i % 3}", i // 3, i // 3 + 1)
    assert list(entries(server).items()) == [(i + 1, b"%d" % i) for i in range(30)]


def test_old_commits_go_when_they_were_read_and_unread_ones_loudly(server, caplog):
    sink = open_sink(url_of(server), {"keep_s": 0, "max_bytes": 25})
    first = sink.write([b"0123456789"], "p", 0, 1)
    assert sorted(entries(server)) == [1], "the newest stays"
    sink.write([b"0123456789"], "p", 1, 2)
    assert sorted(entries(server)) == [2], "nobody reads"
    lineage = first.split(":")[0]
    now = int(server.time()[0]) * 1000
    server.hset(f"{BASE}/readers", "here", f"{lineage} 2 {now}")
    server.hset(f"{BASE}/readers", "elsewhere", f"another 0 {now}")
    server.hset(f"{BASE}/readers", "gone", f"{lineage} 1 {now - 3_600_001}")
    sink.write([b"0123456789"], "p", 2, 3)
    sink.write([b"12345"], "p", 3, 4)
    assert sorted(entries(server)) == [3, 4]
    assert sink.readers() == {"here": f"{lineage}:{2:020d}", "elsewhere": ""}
    assert sink.dropped == 0
    with caplog.at_level(logging.WARNING, "tf_hps"):
        sink.write([b"0123456789" * 5], "p", 4, 5)
    assert sorted(entries(server)) == [5]
    assert sink.dropped == 2 and "2 commits that a server had not read" in caplog.text


def test_waiting_is_for_every_server_that_follows(server):
    with Publisher(url_of(server), "d", "g") as publisher:
        assert publisher.wait() == {}
        publisher.publish("t", [1], [[1.0]])
        position = publisher.commit()
        assert publisher.wait() == {}
        now = int(server.time()[0]) * 1000
        server.hset(f"{BASE}/readers", "slow", f"{position.split(':')[0]} 0 {now}")
        with pytest.raises(TimeoutError, match="slow"):
            publisher.wait(0.05)
        server.hset(f"{BASE}/readers", "slow", f"{position.split(':')[0]} 1 {now}")
        assert publisher.wait(10) == {"slow": position}


def test_a_commit_to_a_server_that_died_is_repeated_when_it_is_back(tmp_path):
    (tmp_path / "a").mkdir()
    durable = ["--appendonly", "yes"]
    with redis_server(tmp_path / "a", *durable) as server:
        port = port_of(server)
        publisher = Publisher(url_of(server), "d", "g", {"retries": 0, "timeout_ms": 500})
        publisher.publish("t", [1], [[1.0]])
        publisher.commit()
    publisher.publish("t", [2], [[2.0]])
    with pytest.raises(UnavailableError):
        publisher.commit()
    publisher.publish("t", [3], [[3.0]])
    with redis_server(tmp_path / "a", *durable, port=port) as server:
        position = publisher.commit()
        assert position.endswith(f":{2:020d}")
        keys = [
            frame.keys.tolist() for data in entries(server).values() for frame in read_frames(data)
        ]
    assert keys == [[1], [], [2], [3], []]


def test_what_the_stream_cannot_be_is_refused(server):
    for options, message in [
        ({"keeps": 1}, r"unknown options \['keeps'\]"),
        ({"stream": "a b"}, "`stream` is letters"),
        ({"max_bytes": 0}, "`max_bytes` is above 0"),
        ({"password_env": "NOT_SET"}, "NOT_SET, which is not set"),
    ]:
        with pytest.raises(ValueError, match=message):
            open_sink(url_of(server), options)
    for url in ("redis://u:hunter2@h", "redis://h/hunter2", "redis://h:1,redis://h:2"):
        with pytest.raises(ValueError) as refused:
            open_sink(url, {})
        assert "hunter2" not in str(refused.value)
    server.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(FailedPreconditionError, match=r"allkeys-lru.*Wanted: a volatile"):
        open_sink(url_of(server), {})


def test_a_full_redis_refuses_the_commit_and_takes_it_later(server):
    from tf_hps.errors import ResourceExhaustedError

    with Publisher(url_of(server), "d", "g") as publisher:
        publisher.publish("t", np.arange(10), np.ones((10, 4)))
        server.config_set("maxmemory", 1)
        with pytest.raises(ResourceExhaustedError):
            publisher.commit()
        server.config_set("maxmemory", 0)
        publisher.commit()
    assert len(entries(server)) == 1
