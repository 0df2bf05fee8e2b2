"""Rows of one table that stand in several variables of a checkpoint."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tf_hps.store import row_formats
from tf_hps.store.checkpoint_bundle import BundlePart, CheckpointBundle
from tf_hps.store.sources import Batch, RowSource, slices


class PartitionedSource(RowSource):
    """The rows of parts that took turns: row j of part i of n is the row of id j * n + i.

    Args:
        bundle: The checkpoint.
        keys: The names of the parts' variables, or the one name of a variable that was saved in slices.
    """

    ascending = True

    def __init__(self, bundle: CheckpointBundle, keys: Sequence[str]) -> None:
        known = {variable.name: variable for variable in bundle.variables()}
        variables = [known[key] for key in keys]
        dtype = variables[0].dtype
        assert dtype is not None
        self.row_format = dtype
        self.embedding_dim = variables[0].shape[1]
        self.rows = sum(variable.shape[0] for variable in variables)
        self.description = f"{bundle.prefix}, {', '.join(keys)}"
        self._parts = [part for variable in variables for part in bundle.parts(variable)]

    def __iter__(self) -> Iterator[Batch]:
        count = len(self._parts)
        turns = max(part.rows for part in self._parts)
        for start, stop in slices(turns, self.embedding_dim * count):
            blocks = [self._read(part, start, min(stop, part.rows)) for part in self._parts]
            rows = np.empty((sum(map(len, blocks)), self.embedding_dim), blocks[0].dtype)
            for i, block in enumerate(blocks):
                rows[i::count] = block
            first = start * count
            yield np.arange(first, first + len(rows), dtype=np.int64), rows

    def _read(self, part: BundlePart, start: int, stop: int) -> npt.NDArray[np.generic]:
        dtype = row_formats.element_dtype(self.row_format)
        row_bytes = self.embedding_dim * dtype.itemsize
        count = max(0, stop - start) * self.embedding_dim
        rows = np.fromfile(part.path, dtype, count, offset=part.offset + start * row_bytes)
        if len(rows) != count:
            raise ValueError(f"{part.path} was cut short while it was read")
        return rows.reshape(-1, self.embedding_dim)


class ConcatenatedSource(RowSource):
    """The rows of several sources with keys from 0 on, one behind the other."""

    ascending = True

    def __init__(self, sources: Sequence[RowSource]) -> None:
        self._sources = sources
        self.row_format = sources[0].row_format
        self.embedding_dim = sources[0].embedding_dim
        self.rows = sum(source.rows or 0 for source in sources)
        self.description = " and ".join(source.description for source in sources)

    def __iter__(self) -> Iterator[Batch]:
        before = 0
        for source in self._sources:
            for keys, rows in source:
                yield keys + before, rows
            before += source.rows or 0
