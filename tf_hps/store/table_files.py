"""A generation's rows as files beside a store, which then takes them in one step."""

import dataclasses
import os
import shutil
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tf_hps.store.aligned_batches import overlaid
from tf_hps.store.delta import Delta
from tf_hps.store.external_sort import StoredBatch
from tf_hps.store.formats import TableRecord
from tf_hps.store.generation import DeltaHash, GenerationHash
from tf_hps.store.layered_table import LayeredTable, without_erased
from tf_hps.store.sst_slices import SstSlices

# Of its base's rows: a delta with a larger share is written as a table of its own. Rows of the base that
# nobody reads any more take disk, and every lookup asks both.
_LARGEST_DELTA = 0.5


@dataclasses.dataclass
class TableFiles:
    """What a load wrote, and what the table's record says about it."""

    generation: str
    rows: int
    min_key: int | None = None
    max_key: int | None = None
    paths: list[str] = dataclasses.field(default_factory=list)
    # Of a delta: the generation it lies over, and what it has itself.
    base: str | None = None
    rows_estimated: bool = False
    changed: int = 0
    erased: int = 0

    def saw(self, keys: npt.NDArray[np.int64]) -> None:
        """The next keys, ascending."""
        self.min_key = int(keys[0]) if self.min_key is None else self.min_key
        self.max_key = int(keys[-1])


def write_rows(
    batches: Iterator[StoredBatch],
    row_format: str,
    embedding_dim: int,
    row_bytes: int,
    folder: str,
    compression: str,
) -> TableFiles:
    """Writes all rows of a table, ascending."""
    written = TableFiles("", 0)
    with (
        SstSlices(folder, row_bytes, compression) as files,
        GenerationHash(row_format, embedding_dim) as generation_hash,
    ):
        for keys, stored in batches:
            generation_hash.update(keys, stored)
            files.add(keys, stored)
            written.rows += len(keys)
            written.saw(keys)
        written.paths = files.finish()
        written.generation = generation_hash.hexdigest()
    return written


def write_delta(delta: Delta, root: LayeredTable, folder: str, compression: str) -> TableFiles:
    """Writes what makes a table another one: a delta, or all rows where most of them differ.

    No change: the generation that is there, and no files.
    """
    written = _write_entries(delta, root.record, folder, compression)
    if not written.paths:
        return TableFiles(root.record.generation, root.record.rows)
    if written.changed + written.erased <= _LARGEST_DELTA * root.record.rows:
        return written
    shutil.rmtree(folder)
    os.makedirs(folder)
    batches = without_erased(overlaid(root.entries(), iter(delta), root.empty))
    record = root.record
    return write_rows(
        batches, record.row_format, record.embedding_dim, record.row_bytes, folder, compression
    )


def _write_entries(delta: Delta, root: TableRecord, folder: str, compression: str) -> TableFiles:
    written = TableFiles("", 0, base=root.generation)
    with (
        SstSlices(folder, root.row_bytes, compression) as files,
        DeltaHash(root.generation, root.row_format, root.embedding_dim) as generation_hash,
    ):
        for keys, rows, erased in delta:
            generation_hash.update(keys, rows, erased)
            files.add(keys, rows, erased)
            written.erased += int(erased.sum())
            written.changed += int((~erased).sum())
            written.saw(keys)
        written.paths = files.finish()
        written.generation = generation_hash.hexdigest()
    written.rows, written.rows_estimated = delta.rows, delta.rows_estimated
    return written
