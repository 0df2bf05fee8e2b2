"""The bytes of an update on its way from a trainer to servers (docs/formats.md, "Update frames")."""

import dataclasses
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tf_hps.errors import DataLossError

FORMAT_VERSION = 1

_PREFIX = struct.Struct("<4sIIQ")  # magic, format version, bytes of header and body
_CRC = struct.Struct("<I")
_MAGIC = b"HPSU"
_MAX_HEADER = 1 << 20
_MAX_BODY = 1 << 32


class FrameError(DataLossError):
    """Bytes that are no whole frame, or not of a format this version reads; says where and why."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One message of a stream of updates.

    Attributes:
        header: What it is, for whom and from whom; JSON. Readers pass over what they do not know.
        keys: int64[n]; none in a commit.
        rows: float32[n, embedding_dim] of a frame of rows, otherwise None.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("rows", "erase", "commit")

    header: dict[str, Any]
    keys: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32] | None = None

    def to_bytes(self) -> bytes:
        header = json.dumps(self.header, separators=(",", ":"), sort_keys=True).encode()
        parts = [np.ascontiguousarray(self.keys, "<i8").tobytes()]
        if self.rows is not None:
            parts.append(np.ascontiguousarray(self.rows, "<f4").tobytes())
        body_bytes = sum(map(len, parts))
        parts[:0] = [_PREFIX.pack(_MAGIC, FORMAT_VERSION, len(header), body_bytes), header]
        crc = 0
        for part in parts:
            crc = zlib.crc32(part, crc)
        return b"".join([*parts, _CRC.pack(crc)])


def read_frames(data: bytes, where: str = "a stream") -> Iterator[Frame]:
    """The frames that `data` is made of, one after the other.

    Raises:
        FrameError: it ends in the middle of one, or one was damaged. Those before it were handed out.
    """
    at = 0
    while at < len(data):
        frame, at = _read_frame(memoryview(data), at, where)
        yield frame


def _read_frame(data: memoryview, at: int, where: str) -> tuple[Frame, int]:
    def damaged(why: str) -> FrameError:
        return FrameError(f"{where}, byte {at}: {why}")

    if len(data) - at < _PREFIX.size:
        raise damaged(f"{len(data) - at} bytes are less than a frame's prefix of {_PREFIX.size}")
    magic, version, header_bytes, body_bytes = _PREFIX.unpack_from(data, at)
    if magic != _MAGIC:
        raise damaged(f"a frame begins with {_MAGIC!r}. Received: {magic!r}")
    if version != FORMAT_VERSION:
        raise damaged(f"this version reads format {FORMAT_VERSION}. Received: {version}")
    if header_bytes > _MAX_HEADER or body_bytes > _MAX_BODY:
        raise damaged(f"a header of {header_bytes} bytes and a body of {body_bytes} are no frame's")
    end = at + _PREFIX.size + header_bytes + body_bytes
    if len(data) < end + _CRC.size:
        raise damaged(f"the frame has {end + _CRC.size - at} bytes, {len(data) - at} are left")
    (wanted,) = _CRC.unpack_from(data, end)
    found = zlib.crc32(data[at:end])
    if found != wanted:
        raise damaged(f"the checksum is {found:08x}, the frame says {wanted:08x}")

    body = at + _PREFIX.size + header_bytes
    try:
        header = json.loads(bytes(data[at + _PREFIX.size : body]))
    except ValueError as error:
        raise damaged(f"the header is no JSON: {error}") from error
    return _frame_of(header, data[body:end], damaged), end + _CRC.size


def _frame_of(header: Any, body: memoryview, damaged: Any) -> Frame:
    kind = header.get("kind") if isinstance(header, dict) else None
    if kind not in Frame.KINDS:
        raise damaged(f"`kind` is one of {Frame.KINDS}. Received: {kind!r}")
    rows, embedding_dim = header.get("rows", 0), header.get("embedding_dim", 0)
    for name, value in (("rows", rows), ("embedding_dim", embedding_dim)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise damaged(f"`{name}` is a number, 0 or more. Received: {value!r}")
    elements = embedding_dim if kind == "rows" else 0
    if len(body) != rows * (8 + 4 * elements):
        raise damaged(
            f"{rows} {'rows' if kind == 'rows' else 'keys'} with embedding_dim {elements} have "
            f"{rows * (8 + 4 * elements)} bytes. Received: {len(body)}"
        )
    keys = np.frombuffer(body[: rows * 8], "<i8")
    if kind != "rows":
        return Frame(header, keys)
    return Frame(header, keys, np.frombuffer(body[rows * 8 :], "<f4").reshape(rows, embedding_dim))
