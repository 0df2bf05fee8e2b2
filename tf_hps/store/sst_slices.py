"""Writes sorted rows as RocksDB's table files, outside of any database."""

import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tf_hps._library import load_rocksdb
from tf_hps.closing import Closing
from tf_hps.store.worker import Worker

if TYPE_CHECKING:
    from tf_hps._rocksdb import SstFile

# RocksDB keeps every file of a store open, so they are large; while one is written, its index and the
# hashes of its keys are in memory.
SLICE_BYTES = 256 << 20


class SstSlices(Closing):
    """Ascending rows as files of `slice_bytes`, written on a thread; `finish` hands out their paths.

    A context manager: without `finish`, the file that was begun is closed as it is.
    """

    def __init__(
        self, folder: str, row_bytes: int, compression: str, slice_bytes: int = SLICE_BYTES
    ) -> None:
        self._folder = folder
        self._row_bytes = row_bytes
        self._compression = compression
        self._slice_rows = max(1, slice_bytes // row_bytes)
        self._file: SstFile | None = None
        self._file_rows = 0
        self._paths: list[str] = []
        self._worker = Worker("tf_hps-sst")

    def add(
        self,
        keys: npt.NDArray[np.int64],
        rows: npt.NDArray[np.uint8],
        erased: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Appends `rows`, uint8[n, row_bytes] as stored; the keys ascend from call to call.

        They are not copied: they must not change afterwards. `erased` bool[n], of a delta: which keys are
        erased, and their rows nothing.
        """
        self._worker.put(self._write, keys, rows, erased)

    def finish(self) -> list[str]:
        """Closes the last file; all of them are synced to the disk then."""
        self._worker.put(self._close_slice)
        self._worker.finish()
        return self._paths

    def close(self) -> None:
        self._worker.close()
        # Its destructor closes a file that was not finished. Nothing else may hold it: an error's traceback
        # would keep the file open, and a full disk full.
        self._file = None

    def _write(
        self,
        keys: npt.NDArray[np.int64],
        rows: npt.NDArray[np.uint8],
        erased: npt.NDArray[np.bool_] | None,
    ) -> None:
        start = 0
        while start < len(keys):
            if self._file is None:
                self._file = self._new_file()
            stop = min(len(keys), start + self._slice_rows - self._file_rows)
            gone = None if erased is None else erased[start:stop]
            self._file.add(keys[start:stop], rows[start:stop], gone)
            self._file_rows += stop - start
            start = stop
            if self._file_rows == self._slice_rows:
                self._close_slice()

    def _new_file(self) -> "SstFile":
        path = os.path.join(self._folder, f"{len(self._paths):06}.sst")
        file: SstFile = load_rocksdb().SstFile(path, self._row_bytes, self._compression)
        self._file_rows = 0
        self._paths.append(path)
        return file

    def _close_slice(self) -> None:
        if self._file is not None:
            self._file.finish()
            self._file = None
