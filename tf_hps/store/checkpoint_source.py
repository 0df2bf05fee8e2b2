"""Rows of a variable in a TensorFlow checkpoint, read in slices."""

import difflib
import os
from collections.abc import Iterator

import numpy as np

from tf_hps.store import row_formats
from tf_hps.store.checkpoint_bundle import BundleVariable, CheckpointBundle
from tf_hps.store.sources import Batch, RowSource, slices

_OBJECT_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_LISTED = 20


def from_checkpoint(prefix: str | os.PathLike[str], variable: str) -> RowSource:
    """The rows of `variable` [rows, embedding_dim] in the checkpoint `prefix`.

    The variable is never loaded whole. Sizes are checked, checksums are not: computing crc32c in
    Python would take longer than the load.

    Args:
        prefix: The checkpoint, without ".index"; or the folder of a SavedModel.
        variable: The variable's name, with or without the "/.ATTRIBUTES/VARIABLE_VALUE" at its end.
            Variables that are partitioned by rows are put together.
    """
    prefix = os.fspath(prefix)
    if os.path.isdir(prefix):
        prefix = os.path.join(prefix, "variables", "variables")
    return _CheckpointSource(CheckpointBundle(prefix.removesuffix(".index")), variable)


class _CheckpointSource(RowSource):
    ascending = True

    def __init__(self, bundle: CheckpointBundle, name: str) -> None:
        variable = _find(bundle, name)
        if variable.dtype is None or len(variable.shape) != 2:
            raise ValueError(
                f"{bundle.prefix}: {variable.name} has shape {list(variable.shape)} and is of type "
                f"{variable.dtype or 'another'}; rows are [rows, embedding_dim] of float32, float16 or "
                "bfloat16"
            )
        self.rows, self.embedding_dim = variable.shape
        self.row_format = variable.dtype
        self.description = f"{bundle.prefix}, {variable.name}"
        self._parts = list(bundle.parts(variable))
        # Also what says that the parts leave no gap.
        expected = 0
        for part in self._parts:
            if part.first_row != expected:
                raise ValueError(f"{self.description}: rows from {expected} on are missing")
            expected += part.rows

    def __iter__(self) -> Iterator[Batch]:
        dtype = row_formats.element_dtype(self.row_format)
        for part in self._parts:
            for start, stop in slices(part.rows, self.embedding_dim):
                offset = part.offset + start * self.embedding_dim * dtype.itemsize
                count = (stop - start) * self.embedding_dim
                # Not mapped: a file that is cut meanwhile would end the process.
                rows = np.fromfile(part.path, dtype, count, offset=offset)
                if len(rows) != count:
                    raise ValueError(f"{part.path} was cut short while it was read")
                keys = np.arange(part.first_row + start, part.first_row + stop, dtype=np.int64)
                yield keys, rows.reshape(stop - start, self.embedding_dim)


def _find(bundle: CheckpointBundle, name: str) -> BundleVariable:
    variables = {variable.name: variable for variable in bundle.variables()}
    for candidate in (name, name + _OBJECT_SUFFIX):
        if candidate in variables:
            return variables[candidate]
    tables = {
        v.name.removesuffix(_OBJECT_SUFFIX): v for v in variables.values() if len(v.shape) == 2
    }
    close = difflib.get_close_matches(name, tables, n=_LISTED, cutoff=0) or list(tables)
    listed = ", ".join(f"{n} {list(tables[n].shape)}" for n in close[:_LISTED]) or "none"
    raise ValueError(
        f"{bundle.prefix} has no variable {name!r}. Its variables with two dimensions: {listed}"
    )
