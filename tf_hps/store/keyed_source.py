"""Rows of a source under other keys."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tf_hps.store.sources import Batch, RowSource


class KeyedSource(RowSource):
    """The rows of a source whose keys ascend from 0, each under the keys that it is given.

    Args:
        source: The rows.
        keys: The new keys.
        rows: The old key of each; rows that are not in it are left out.
    """

    def __init__(
        self, source: RowSource, keys: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> None:
        order = np.argsort(rows, kind="stable")
        self._keys, self._old = keys[order], rows[order]
        self._source = source
        self.row_format = source.row_format
        self.embedding_dim = source.embedding_dim
        self.rows = len(keys)
        self.description = source.description

    def __iter__(self) -> Iterator[Batch]:
        for old, rows in self._source:
            first, end = np.searchsorted(self._old, (old[0], old[-1] + 1))
            if end > first:
                yield self._keys[first:end], rows[self._old[first:end] - old[0]]
