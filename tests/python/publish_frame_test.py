"""Frames of updates: what goes in comes out, and damage is always seen."""

import json
import struct
import zlib

import numpy as np
import pytest

from tf_hps.publish import Frame, FrameError, read_frames


def rows_frame(n=3, dim=2):
    header = {"kind": "rows", "table": "t", "rows": n, "embedding_dim": dim}
    keys = np.arange(n) - 1
    return Frame(header, keys, np.arange(n * dim, dtype=np.float32).reshape(n, dim))


def with_header(header: object, body: bytes = b"", version: int = 1) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = struct.pack("<4sIIQ", b"HPSU", version, len(text), len(body)) + text + body
    return data + struct.pack("<I", zlib.crc32(data))


def test_frames_are_read_as_they_were_written():
    erase = Frame({"kind": "erase", "rows": 2}, np.array([-(2**63), 2**63 - 1]))
    commit = Frame({"kind": "commit", "new in a later version": [1]}, np.empty(0, np.int64))
    data = rows_frame().to_bytes() + erase.to_bytes() + commit.to_bytes()
    rows, erased, committed = read_frames(data)
    assert rows.header["table"] == "t"
    assert rows.keys.tolist() == [-1, 0, 1]
    assert rows.rows.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert erased.keys.tolist() == [-(2**63), 2**63 - 1]
    assert erased.rows is None
    assert committed.header == {"kind": "commit", "new in a later version": [1]}


def test_the_bytes_are_those_of_the_documentation():
    data = rows_frame(1, 1).to_bytes()
    header = b'{"embedding_dim":1,"kind":"rows","rows":1,"table":"t"}'
    expected = b"HPSU" + b"\x01\0\0\0" + bytes([len(header), 0, 0, 0]) + b"\x0c" + bytes(7)
    expected += header + b"\xff" * 8 + bytes(4)
    assert data == expected + struct.pack("<I", zlib.crc32(expected))


def test_every_flipped_bit_is_seen():
    data = rows_frame().to_bytes()
    for i in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[i // 8] ^= 1 << i % 8
        with pytest.raises(FrameError):
            list(read_frames(bytes(damaged)))


def test_every_truncation_is_seen_and_what_came_before_it_is_read():
    first, second = rows_frame().to_bytes(), rows_frame(1).to_bytes()
    for end in range(1, len(second)):
        frames = read_frames(first + second[:end], "segment 7")
        next(frames)
        with pytest.raises(FrameError, match=f"segment 7, byte {len(first)}: "):
            next(frames)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_header({"kind": "rows"}, version=2), "reads format 1. Received: 2"),
        (with_header({"kind": "row"}), "`kind` is one of .* Received: 'row'"),
        (with_header([]), "`kind` is one of .* Received: None"),
        (with_header(b"{"), "no JSON"),
        (with_header({"kind": "erase", "rows": -1}), "`rows` is a number, 0 or more. Received: -1"),
        (with_header({"kind": "erase", "rows": True}), "Received: True"),
        (with_header({"kind": "erase", "rows": 2}, bytes(8)), "have 16 bytes. Received: 8"),
        (with_header({"kind": "rows", "rows": 1, "embedding_dim": 2}, bytes(8)), "have 16 bytes"),
        (with_header({"kind": "commit"}, bytes(1)), "have 0 bytes. Received: 1"),
        (b"HPSV" + bytes(16), "begins with b'HPSU'. Received: b'HPSV'"),
        (struct.pack("<4sIIQ", b"HPSU", 1, 0, 1 << 60), "are no frame's"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(data, message):
    with pytest.raises(FrameError, match=message):
        list(read_frames(data))
