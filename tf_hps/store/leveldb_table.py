"""Reads the index of a TensorFlow checkpoint: a LevelDB table without compression."""

from collections.abc import Iterator

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # of a block: its compression, and a checksum
_UNCOMPRESSED = 0


def read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All (key, value) of the table in `data`, in key order; a ValueError says what is wrong."""
    if len(data) < _FOOTER_BYTES or int.from_bytes(data[-8:], "little") != _MAGIC:
        raise ValueError("not the index of a checkpoint, or cut short")
    at = len(data) - _FOOTER_BYTES
    try:
        for _ in range(2):  # the handle of the block of meta blocks
            _, at = read_varint(data, at)
        for _, handle in _read_block(data, *_read_handle(data, at)):
            yield from _read_block(data, *_read_handle(handle, 0))
    except IndexError:
        raise ValueError("the index of a checkpoint is damaged") from None


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _read_handle(data: bytes, at: int) -> tuple[int, int]:
    offset, at = read_varint(data, at)
    size, _ = read_varint(data, at)
    return offset, size


def _read_block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if offset + size + _TRAILER_BYTES > len(data):
        raise ValueError("the index of a checkpoint is damaged")
    if data[offset + size] != _UNCOMPRESSED:
        raise ValueError(
            "the index of the checkpoint is compressed, which TensorFlow does not write"
        )
    block = data[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        own, at = read_varint(block, at)
        length, at = read_varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length
