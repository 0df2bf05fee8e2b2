"""Writes the index of a TensorFlow checkpoint: a LevelDB table without compression."""

from collections.abc import Mapping

from tf_hps.store.crc32c import crc32c, masked

_MAGIC = 0xDB4775248B80FB57
_HANDLES_BYTES = 40
_UNCOMPRESSED = b"\0"


def write_table(entries: Mapping[bytes, bytes]) -> bytes:
    """A table of `entries`. One block: an index is read whole, and has some hundred bytes a variable."""
    ordered = sorted(entries.items())
    data = _block(ordered)
    content = data + _trailer(data)
    meta_index = _block([])
    meta_index_handle = _handle(len(content), len(meta_index))
    content += meta_index + _trailer(meta_index)
    last = ordered[-1][0] if ordered else b""
    index = _block([(last, _handle(0, len(data)))])
    index_handle = _handle(len(content), len(index))
    content += index + _trailer(index)
    handles = (meta_index_handle + index_handle).ljust(_HANDLES_BYTES, b"\0")
    return content + handles + _MAGIC.to_bytes(8, "little")


def write_varint(value: int) -> bytes:
    """A number as 7 bits a byte."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    content = bytearray()
    restarts = []
    for key, value in entries:
        # Every key whole: a reader that searches may begin anywhere.
        restarts.append(len(content))
        content += b"\0" + write_varint(len(key)) + write_varint(len(value)) + key + value
    for offset in restarts or [0]:
        content += offset.to_bytes(4, "little")
    return bytes(content + max(1, len(restarts)).to_bytes(4, "little"))


def _trailer(block: bytes) -> bytes:
    return _UNCOMPRESSED + masked(crc32c(block + _UNCOMPRESSED)).to_bytes(4, "little")


def _handle(offset: int, size: int) -> bytes:
    return write_varint(offset) + write_varint(size)
