"""Where a TensorFlow checkpoint keeps the bytes of its variables.

Read directly: TensorFlow's own readers load a whole variable, even for a slice of it.
"""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from tf_hps.store.leveldb_table import read_table, read_varint

_HEADER_KEY = b""
# DataType of tensorflow/core/framework/types.proto.
_DTYPES = {1: "float32", 14: "bfloat16", 19: "float16"}
_LITTLE_ENDIAN = 0


@dataclasses.dataclass(frozen=True)
class BundlePart:
    """Some rows of a variable: where their bytes stand. Columns are whole."""

    first_row: int
    rows: int
    path: str
    offset: int


@dataclasses.dataclass(frozen=True)
class BundleVariable:
    """A variable of a checkpoint; `dtype` is None for types that no row has."""

    name: str
    dtype: str | None
    shape: tuple[int, ...]
    size: int
    shard: int
    offset: int
    checksum: int
    # Extents (start, length) a dimension, length -1: the whole of it. Empty: not partitioned.
    slices: tuple[tuple[tuple[int, int], ...], ...]


class CheckpointBundle:
    """The index of the checkpoint with this prefix, e.g. "model/variables/variables"."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        index = prefix + ".index"
        if not os.path.isfile(index):
            raise FileNotFoundError(f"{index} is not there; a checkpoint is named by its prefix")
        with open(index, "rb") as file:
            try:
                self._entries = dict(read_table(file.read()))
            except ValueError as error:
                raise ValueError(f"{index}: {error}") from error
        header = _fields(self._entries.pop(_HEADER_KEY, b""))
        self._shards = int(header.get(1, [1])[0])
        if int(header.get(2, [_LITTLE_ENDIAN])[0]) != _LITTLE_ENDIAN:
            raise ValueError(f"{index} was written on a big-endian machine")

    def variables(self) -> list[BundleVariable]:
        """All variables, without the parts of partitioned ones."""
        return [
            _parse_entry(key.decode(errors="replace"), value)
            for key, value in self._entries.items()
            if not key.startswith(b"\0")
        ]

    def parts(self, variable: BundleVariable) -> Iterator[BundlePart]:
        """The parts of a two-dimensional variable, in the order of their rows."""
        columns = variable.shape[1]
        if not variable.slices:
            yield self._part(variable, 0, variable.shape[0], variable)
            return
        for rows, cols in sorted(variable.slices):
            if cols not in ((0, -1), (0, columns)):
                raise ValueError(
                    f"{self.prefix}: {variable.name} is partitioned by columns; by rows can be read"
                )
            key = _slice_key(variable.name, (rows, cols))
            if key not in self._entries:
                raise ValueError(f"{self.prefix}: a part of {variable.name} is missing")
            start, length = rows
            length = variable.shape[0] if length == -1 else length
            yield self._part(variable, start, length, _parse_entry("", self._entries[key]))

    def _part(
        self, variable: BundleVariable, first_row: int, rows: int, entry: BundleVariable
    ) -> BundlePart:
        path = f"{self.prefix}.data-{entry.shard:05}-of-{self._shards:05}"
        element_bytes = 4 if variable.dtype == "float32" else 2
        wanted = rows * variable.shape[1] * element_bytes
        if entry.size != wanted:
            raise ValueError(f"{path}: {variable.name} has {entry.size} bytes, its shape {wanted}")
        size = os.path.getsize(path) if os.path.isfile(path) else 0
        if size < entry.offset + entry.size:
            raise ValueError(
                f"{path} is missing or cut short: it has {size} bytes, {variable.name} ends at "
                f"{entry.offset + entry.size}"
            )
        return BundlePart(first_row, rows, path, entry.offset)


def _parse_entry(name: str, data: bytes) -> BundleVariable:
    """A BundleEntryProto of tensorflow/core/protobuf/tensor_bundle.proto."""
    fields = _fields(data)
    shape = _fields(fields.get(2, [b""])[0])
    return BundleVariable(
        name=name,
        dtype=_DTYPES.get(int(fields.get(1, [0])[0])),
        shape=tuple(_signed(_fields(dim).get(1, [0])[0]) for dim in shape.get(2, [])),
        size=int(fields.get(5, [0])[0]),
        shard=int(fields.get(3, [0])[0]),
        offset=int(fields.get(4, [0])[0]),
        checksum=int.from_bytes(fields.get(6, [b""])[0], "little"),
        slices=tuple(_parse_slice(part) for part in fields.get(7, [])),
    )


def _parse_slice(data: bytes) -> tuple[tuple[int, int], ...]:
    """A TensorSliceProto: an extent without a length is the whole dimension."""
    extents = [_fields(extent) for extent in _fields(data).get(1, [])]
    return tuple((_signed(e.get(1, [0])[0]), _signed(e.get(2, [-1])[0])) for e in extents)


def _fields(data: bytes) -> dict[int, list[Any]]:
    """The fields of a protocol buffer: numbers, or bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        value: Any
        if kind == 0:
            value, at = read_varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if length is None:
                length, at = read_varint(data, at)
            value = data[at : at + length]
            at += length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _slice_key(name: str, extents: tuple[tuple[int, int], ...]) -> bytes:
    """The key of a part: tensorflow/core/util/saved_tensor_slice_util.cc, EncodeTensorNameSlice."""
    escaped = name.encode().replace(b"\0", b"\0\xff").replace(b"\xff", b"\xff\0")
    key = _ordered_unsigned(0) + escaped + b"\0\1" + _ordered_unsigned(len(extents))
    for start, length in extents:
        key += _ordered_signed(start) + _ordered_signed(length)
    return key


def _ordered_unsigned(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(data)]) + data


def _ordered_signed(value: int) -> bytes:
    """The first `length` bits of the result, inverted for negative numbers, tell its length."""
    magnitude = ~value if value < 0 else value
    length = magnitude.bit_length() // 7 + 1
    header = ((1 << length) - 1) << (7 * length)
    return ((value ^ header) & ((1 << (8 * length)) - 1)).to_bytes(length, "big")
