"""Rows as bytes, in numpy: the same bytes as cc/common/row_codec.h writes."""

from typing import Any

import numpy as np
import numpy.typing as npt

ROW_FORMATS = ("float32", "float16", "bfloat16", "int8")

_ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
_SCALE_BYTES = 4


def check_row_format(row_format: str) -> None:
    """Raises a ValueError for an unknown row format."""
    if row_format not in ROW_FORMATS:
        raise ValueError(f"`row_format` is one of {ROW_FORMATS}. Received: {row_format!r}")


def row_bytes(row_format: str, embedding_dim: int) -> int:
    """The size of one stored row."""
    check_row_format(row_format)
    if not isinstance(embedding_dim, int) or embedding_dim < 1:
        raise ValueError(f"`embedding_dim` is at least 1. Received: {embedding_dim!r}")
    scale = _SCALE_BYTES if row_format == "int8" else 0
    return scale + embedding_dim * _ELEMENT_BYTES[row_format]


def element_dtype(row_format: str) -> np.dtype[Any]:
    """The numpy type of a stored element."""
    check_row_format(row_format)
    if row_format == "bfloat16":
        # Comes with TensorFlow; a store of other formats is written without it.
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(row_format)


def row_format_of(dtype: Any) -> str:
    """The row format that keeps elements of `dtype` as they are."""
    name = str(np.dtype(dtype).name)
    if name not in ("float32", "float16", "bfloat16"):
        raise ValueError(f"Rows are float32, float16 or bfloat16. Received: {name}")
    return name


def encode_rows(rows: npt.NDArray[Any], row_format: str) -> npt.NDArray[np.uint8]:
    """Stored rows, uint8[n, row_bytes], of float rows [n, embedding_dim]."""
    source = row_format_of(rows.dtype)
    if row_format == "int8":
        return _quantize(rows.astype(np.float32, copy=False))
    if source != row_format and source != "float32":
        rows = rows.astype(np.float32)
    # Above the largest half a value becomes infinity, as in the C++ codec: no warning.
    with np.errstate(over="ignore", invalid="ignore"):
        elements = np.ascontiguousarray(rows, dtype=element_dtype(row_format))
    return _as_bytes(elements)


def decode_rows(stored: npt.NDArray[np.uint8], row_format: str) -> npt.NDArray[np.float32]:
    """float32[n, embedding_dim] of stored rows, uint8[n, row_bytes]."""
    stored = np.ascontiguousarray(stored)
    if row_format != "int8":
        return stored.view(element_dtype(row_format)).astype(np.float32, copy=False)
    scale = np.ascontiguousarray(stored[:, :_SCALE_BYTES]).view(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        return stored[:, _SCALE_BYTES:].view(np.int8).astype(np.float32) / scale


def pack_quantized(
    quantized: npt.NDArray[np.int8], scale: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Stored int8 rows of elements and scales that somebody else quantized, bit for bit."""
    stored = np.empty((len(quantized), _SCALE_BYTES + quantized.shape[1]), np.uint8)
    stored[:, :_SCALE_BYTES] = np.ascontiguousarray(scale, "<f4").reshape(-1, 1).view(np.uint8)
    stored[:, _SCALE_BYTES:] = np.ascontiguousarray(quantized).view(np.uint8)
    return stored


def _quantize(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        largest = np.abs(rows).max(axis=1, initial=np.float32(0))  # NaN where there is one
        # Rows of the smallest subnormals would have an infinite scale.
        scale = np.minimum(np.float32(127) / largest, np.finfo(np.float32).max)
        scale = np.where(largest == 0, np.float32(1), scale)
        finite = np.isfinite(largest)
        # One bad element makes the whole row NaN when it is decoded, instead of wrong numbers.
        scale = np.where(finite, scale, np.float32(np.nan))
        quantized = np.rint(np.clip(np.where(finite[:, None], rows * scale[:, None], 0), -127, 127))
    return pack_quantized(quantized.astype(np.int8), scale)


def _as_bytes(elements: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    width = elements.shape[1] * elements.dtype.itemsize
    return elements.view(np.uint8).reshape(len(elements), width)
