"""A generation: the identity of a table's content (docs/formats.md)."""

import collections
import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import numpy.typing as npt

BLOCK_ROWS = 65536


class GenerationHash:
    """Hashes rows in ascending key order, in batches of any size, on a thread of its own.

    hashlib releases the interpreter's lock, so that hashing costs no time where a second core is
    free. Batches are not copied: they must not change after `update`.
    """

    _MAX_WAITING = 2

    def __init__(self, row_format: str, embedding_dim: int) -> None:
        self._hash = hashlib.blake2b(digest_size=16, person=b"tf_hps.gen.1")
        self._hash.update(f"{row_format}:{embedding_dim}\n".encode("ascii"))
        self._keys: list[npt.NDArray[np.int64]] = []
        self._rows: list[npt.NDArray[np.uint8]] = []
        self._block_rows = 0
        self._thread = ThreadPoolExecutor(1, "tf_hps-generation")
        self._waiting: collections.deque[Future[None]] = collections.deque()

    def update(self, keys: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]) -> None:
        """Adds `rows`, uint8[n, row_bytes] as stored, of the ascending `keys`."""
        while len(self._waiting) >= self._MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._add, keys, rows))

    def hexdigest(self) -> str:
        """The generation of all rows so far; nothing can be added after it."""
        while self._waiting:
            self._waiting.popleft().result()
        self._flush_block()
        return self._hash.hexdigest()

    def __enter__(self) -> "GenerationHash":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _add(self, keys: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]) -> None:
        start = 0
        while start < len(keys):
            stop = min(len(keys), start + BLOCK_ROWS - self._block_rows)
            self._keys.append(keys[start:stop])
            self._rows.append(rows[start:stop])
            self._block_rows += stop - start
            if self._block_rows == BLOCK_ROWS:
                self._flush_block()
            start = stop

    def _flush_block(self) -> None:
        for keys in self._keys:
            self._hash.update(np.ascontiguousarray(keys, "<i8").data)
        for rows in self._rows:
            self._hash.update(np.ascontiguousarray(rows).data)
        self._keys.clear()
        self._rows.clear()
        self._block_rows = 0
