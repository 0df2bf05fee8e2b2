"""A generation: the identity of a table's content (docs/formats.md)."""

import hashlib

import numpy as np
import numpy.typing as npt

from tf_hps.closing import Closing
from tf_hps.store.worker import Worker

BLOCK_ROWS = 65536


class DeltaHash(Closing):
    """Hashes what a delta over the generation `base` has, in ascending key order, as GenerationHash does."""

    def __init__(self, base: str, row_format: str, embedding_dim: int) -> None:
        self._base = base
        self._rows = GenerationHash(row_format, embedding_dim)
        self._erased = _delta_hash()

    def update(
        self,
        keys: npt.NDArray[np.int64],
        rows: npt.NDArray[np.uint8],
        erased: npt.NDArray[np.bool_],
    ) -> None:
        """Adds `rows`, uint8[n, row_bytes] as stored, of those `keys` that are not erased, and the others."""
        if not erased.any():
            self._rows.update(keys, rows)
            return
        self._rows.update(keys[~erased], rows[~erased])
        self._erased.update(np.ascontiguousarray(keys[erased], "<i8").data)

    def hexdigest(self) -> str:
        """The generation; nothing can be added after it."""
        parts = self._base, self._rows.hexdigest(), self._erased.hexdigest()
        generation = _delta_hash()
        generation.update("".join(f"{part}\n" for part in parts).encode("ascii"))
        return generation.hexdigest()

    def close(self) -> None:
        self._rows.close()


def _delta_hash() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16, person=b"tf_hps.dlt.1")


class GenerationHash(Closing):
    """Hashes rows in ascending key order, in batches of any size, on a thread of its own.

    Batches are not copied: they must not change after `update`.
    """

    def __init__(self, row_format: str, embedding_dim: int) -> None:
        self._hash = hashlib.blake2b(digest_size=16, person=b"tf_hps.gen.1")
        self._hash.update(f"{row_format}:{embedding_dim}\n".encode("ascii"))
        self._keys: list[npt.NDArray[np.int64]] = []
        self._rows: list[npt.NDArray[np.uint8]] = []
        self._block_rows = 0
        self._worker = Worker("tf_hps-generation")

    def update(self, keys: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]) -> None:
        """Adds `rows`, uint8[n, row_bytes] as stored, of the ascending `keys`."""
        self._worker.put(self._add, keys, rows)

    def hexdigest(self) -> str:
        """The generation of all rows so far; nothing can be added after it."""
        self._worker.finish()
        self._flush_block()
        return self._hash.hexdigest()

    def close(self) -> None:
        self._worker.close()

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
