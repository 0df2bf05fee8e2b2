"""Where the rows of a table come from."""

import abc
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.store import row_formats

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]

_BATCH_ROWS = 65536
_BATCH_BYTES = 16 << 20


class RowSource(abc.ABC):
    """Rows of one table, in batches; can be iterated more than once.

    A batch is (keys int64[n], rows): rows are float32, float16 or bfloat16 [n, embedding_dim], or
    uint8[n, row_bytes] that are stored in `row_format` already. Batches must not change once they
    are handed out: they are hashed on another thread.

    Attributes:
        embedding_dim: Elements of a row.
        rows: How many there are, or None when only reading tells.
        row_format: The format that keeps the rows as they are.
        ascending: Whether the keys come strictly ascending; otherwise they are sorted, by way of
            the disk when they are many.
        description: Names the source in messages.
    """

    embedding_dim: int
    rows: int | None = None
    row_format: str = "float32"
    ascending: bool = False
    description: str = "a source"

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Batch]: ...


class ArraySource(RowSource):
    """Rows of anything with a shape [rows, embedding_dim] that slices: numpy arrays, memory maps,
    variables of Keras and TensorFlow. Only slices of it are read.

    Args:
        rows: The rows.
        keys: Their keys, any integers, one a row; by default 0 to rows - 1.
        description: Names the source in messages.
    """

    def __init__(self, rows: Any, keys: Any = None, description: str = "an array") -> None:
        shape = tuple(rows.shape)
        if len(shape) != 2 or shape[1] < 1:
            raise ValueError(
                f"Rows have a shape [rows, embedding_dim]. Received: {description} of shape {shape}"
            )
        self.description = description
        self.rows, self.embedding_dim = int(shape[0]), int(shape[1])
        self.row_format = row_formats.row_format_of(_numpy_dtype(rows.dtype))
        self._rows = rows
        self._keys = None if keys is None else _checked_keys(keys, self.rows, description)
        self.ascending = self._keys is None or _is_ascending(self._keys)

    def __iter__(self) -> Iterator[Batch]:
        for start, stop in slices(self.rows or 0, self.embedding_dim):
            if self._keys is None:
                keys = np.arange(start, stop, dtype=np.int64)
            else:
                keys = np.asarray(self._keys[start:stop], np.int64)
            yield keys, np.asarray(self._rows[start:stop])


def from_arrays(rows: Any, keys: Any = None) -> ArraySource:
    """Rows of an array [rows, embedding_dim] under `keys`, by default 0 to rows - 1."""
    return ArraySource(rows, keys)


def from_npy(
    path: str | os.PathLike[str], keys: str | os.PathLike[str] | None = None
) -> ArraySource:
    """Rows of a `.npy` file under the keys of another, by default 0 to rows - 1; both are mapped."""
    rows = _map_npy(os.fspath(path))
    return ArraySource(rows, None if keys is None else _map_npy(os.fspath(keys)), os.fspath(path))


def keys_from_npy(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Keys of a `.npy` file, mapped."""
    return _map_npy(os.fspath(path))


def slices(rows: int, embedding_dim: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that together are all `rows`, none above some 16 MiB of float32."""
    step = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * embedding_dim)))
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def _map_npy(path: str) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not a whole .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays; a file holds one, see numpy.save")
    return array


def _numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """The numpy type of a dtype of numpy, TensorFlow (has as_numpy_dtype) or Keras (a string)."""
    dtype = getattr(dtype, "as_numpy_dtype", dtype)
    return row_formats.element_dtype("bfloat16") if dtype == "bfloat16" else np.dtype(dtype)


def _checked_keys(keys: Any, rows: int, description: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.asanyarray(keys)
    if array.dtype.kind not in "iu" or array.shape != (rows,):
        raise ValueError(
            f"The keys of {description} are {rows} integers, one a row. "
            f"Received: {array.dtype.name} of shape {array.shape}"
        )
    if array.dtype == np.uint64 and rows and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"A key is a signed 64-bit integer. Received: {array.max()}")
    return array


def _is_ascending(keys: npt.NDArray[Any]) -> bool:
    for start in range(0, len(keys) - 1, _BATCH_ROWS):
        part = keys[start : start + _BATCH_ROWS + 1]
        if not (part[1:] > part[:-1]).all():
            return False
    return True
