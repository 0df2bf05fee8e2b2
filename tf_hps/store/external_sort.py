"""Sorts rows by key in bounded memory."""

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

StoredBatch = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]

RUN_BYTES = 64 << 20
_READ_BYTES = 32 << 20
_BATCH_BYTES = 2 << 20


def external_sort(
    batches: Iterator[StoredBatch], row_bytes: int, scratch: str, run_bytes: int = RUN_BYTES
) -> Iterator[StoredBatch]:
    """Batches (keys, rows uint8[n, row_bytes]) in key order; equal keys stay, side by side.

    Up to `run_bytes` are sorted in memory; more are written as sorted runs into the folder
    `scratch` (made here, the caller removes it) and merged.
    """
    runs: list[_Run] = []
    waiting: list[StoredBatch] = []
    size = 0
    for keys, rows in batches:
        waiting.append((keys, rows))
        size += keys.nbytes + rows.nbytes
        if size >= run_bytes:
            runs.append(_Run.write(waiting, row_bytes, os.path.join(scratch, f"run{len(runs)}")))
            waiting, size = [], 0
    if not runs:
        if waiting:
            yield from _cut(*_sorted(waiting))
        return
    if waiting:
        runs.append(_Run.write(waiting, row_bytes, os.path.join(scratch, f"run{len(runs)}")))
        waiting = []
    # All runs are read side by side, so each gets its share of the memory.
    share = max(1, _READ_BYTES // len(runs) // (8 + row_bytes))
    yield from _merge(runs, share)


def _merge(runs: "list[_Run]", share: int) -> Iterator[StoredBatch]:
    while True:
        runs = [run for run in runs if run.fill(share)]
        if not runs:
            return
        # No run has on disk what comes before the smallest of the last keys in memory.
        bound = min(run.last_key() for run in runs)
        parts = [run.take_until(bound) for run in runs]
        yield _sorted([part for part in parts if len(part[0])])


def _sorted(batches: list[StoredBatch]) -> StoredBatch:
    keys = np.concatenate([keys for keys, _ in batches])
    rows = np.concatenate([rows for _, rows in batches])
    order = np.argsort(keys, kind="stable")
    return keys[order], rows[order]


def _cut(keys: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]) -> Iterator[StoredBatch]:
    step = max(1, _BATCH_BYTES // max(1, rows.shape[1]))
    for start in range(0, len(keys), step):
        yield keys[start : start + step], rows[start : start + step]


class _Run:
    """A sorted run on disk and the part of it that is in memory."""

    def __init__(self, path: str, rows: int, row_bytes: int) -> None:
        self._path = path
        self._size = rows
        self._row_bytes = row_bytes
        self._next = 0
        self._keys = np.empty(0, np.int64)
        self._rows = np.empty((0, row_bytes), np.uint8)

    @classmethod
    def write(cls, batches: list[StoredBatch], row_bytes: int, path: str) -> "_Run":
        os.makedirs(os.path.dirname(path), exist_ok=True)
        keys, rows = _sorted(batches)
        keys.tofile(path + ".keys")
        rows.tofile(path + ".rows")
        return cls(path, len(keys), row_bytes)

    def fill(self, rows: int) -> bool:
        """Reads on when nothing is left in memory; False at the end of the run."""
        if not len(self._keys) and self._next < self._size:
            n = min(rows, self._size - self._next)
            self._keys = np.fromfile(self._path + ".keys", np.int64, n, offset=8 * self._next)
            width = self._row_bytes
            data = np.fromfile(self._path + ".rows", np.uint8, n * width, offset=self._next * width)
            self._rows = data.reshape(n, width)
            self._next += n
        return bool(len(self._keys))

    def last_key(self) -> int:
        return int(self._keys[-1])

    def take_until(self, bound: int) -> StoredBatch:
        n = int(np.searchsorted(self._keys, bound, side="right"))
        taken = self._keys[:n], self._rows[:n]
        self._keys, self._rows = self._keys[n:], self._rows[n:]
        return taken
