"""Copies a TensorFlow checkpoint without some of its variables, which are never read."""

import io
import os
from collections.abc import Collection, Mapping
from typing import BinaryIO

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

from tf_hps.store.crc32c import crc32c, masked
from tf_hps.store.leveldb_table import read_table, read_varint
from tf_hps.store.leveldb_table_writer import write_table, write_varint

_HEADER_KEY = b""
_SLICE_PREFIX = b"\0"
_CHUNK = 16 << 20
_CHECKSUM_BYTES = 4  # Of a string's length, before the string.


def read_string(prefix: str, name: str) -> bytes | None:
    """The one string that a variable of a checkpoint is; None where there is no such variable."""
    entries, shards = _read_index(prefix)
    entry = entries.get(name.encode())
    if entry is None:
        return None
    if entry.dtype != types_pb2.DT_STRING or entry.shape.dim:
        raise ValueError(f"{prefix}: {name} is no string")
    buffer = io.BytesIO()
    _copy(_shard_path(prefix, entry.shard_id, shards), name.encode(), entry, buffer)
    data = buffer.getvalue()
    length, start = read_varint(data, 0)
    if len(data) != start + _CHECKSUM_BYTES + length:
        raise ValueError(f"{prefix}: {name} has {len(data)} bytes, and a length of {length}")
    return data[start + _CHECKSUM_BYTES :]


def copy_checkpoint(
    source: str, target: str, dropped: Collection[str], strings: Mapping[str, bytes]
) -> None:
    """Copies the checkpoint with the prefix `source`, as one shard and synced.

    Args:
        source: The checkpoint, without ".index".
        target: The new one; its folder exists.
        dropped: Variables that are left out.
        strings: Variables of one string that get another one.
    """
    entries, shards = _read_index(source)
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
    header.version.producer = 1
    written = {_HEADER_KEY: header.SerializeToString()}
    gone = {name.encode() for name in dropped}
    data_path = _shard_path(target, 0, 1)
    with open(data_path, "wb") as data:
        for key, entry in entries.items():
            if key in gone or (key.startswith(_SLICE_PREFIX) and _sliced_name(key) in gone):
                continue
            offset = data.tell()
            text = strings.get(key.decode(errors="replace"))
            if text is not None:
                entry.size, entry.crc32c = _write_string(data, text)
            elif entry.size:
                _copy(_shard_path(source, entry.shard_id, shards), key, entry, data)
            entry.shard_id, entry.offset = 0, offset
            written[key] = entry.SerializeToString()
        _sync(data)
    with open(target + ".index", "wb") as index:
        index.write(write_table(written))
        _sync(index)


def _copy(path: str, key: bytes, entry: tensor_bundle_pb2.BundleEntryProto, out: BinaryIO) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is not there: the checkpoint misses a shard")
    left = entry.size
    with open(path, "rb") as file:
        file.seek(entry.offset)
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                name = key.decode(errors="replace")
                raise ValueError(f"{path} is cut short: {name} ends behind its end")
            out.write(chunk)
            left -= len(chunk)


def _read_index(prefix: str) -> tuple[dict[bytes, tensor_bundle_pb2.BundleEntryProto], int]:
    with open(prefix + ".index", "rb") as file:
        content = dict(read_table(file.read()))
    header = tensor_bundle_pb2.BundleHeaderProto.FromString(content.pop(_HEADER_KEY, b""))
    parse = tensor_bundle_pb2.BundleEntryProto.FromString
    return {key: parse(value) for key, value in content.items()}, header.num_shards


def _shard_path(prefix: str, shard: int, shards: int) -> str:
    return f"{prefix}.data-{shard:05}-of-{shards:05}"


def _sliced_name(key: bytes) -> bytes:
    """The variable that a part belongs to; see _slice_key in checkpoint_bundle.py."""
    # An ordered number, 0: one byte that says no more follow.
    escaped = key[1 : key.index(b"\0\1", 1)]
    return escaped.replace(b"\xff\0", b"\xff").replace(b"\0\xff", b"\0")


def _write_string(out: BinaryIO, text: bytes) -> tuple[int, int]:
    """Writes a tensor of one string; its size, and its checksum."""
    # The length counts as a number of four bytes: tensor_bundle.cc, WriteStringTensor.
    crc = crc32c(len(text).to_bytes(4, "little"))
    length_checksum = masked(crc).to_bytes(4, "little")
    crc = crc32c(text, crc32c(length_checksum, crc))
    return out.write(write_varint(len(text)) + length_checksum + text), masked(crc)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
