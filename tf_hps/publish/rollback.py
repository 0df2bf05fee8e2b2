"""Publishes a table as it was."""

import dataclasses
import os

from tf_hps.publish.publisher import Publisher
from tf_hps.store.compare import differences
from tf_hps.store.formats import TableRecord
from tf_hps.store.reader import StoreReader
from tf_hps.store.row_formats import decode_rows
from tf_hps.store.writer import Progress


@dataclasses.dataclass
class Rollback:
    """What was published of a table: rows that are as they were again, and keys that had none."""

    rows: int = 0
    erased: int = 0


def publish_rollback(
    publisher: Publisher,
    now: StoreReader,
    record: TableRecord,
    then: StoreReader,
    scratch: str,
    progress: Progress | None = None,
) -> Rollback:
    """Publishes what makes a table what it was in a snapshot; the caller commits.

    A new commit, so that every tier of every server follows, and a server that reads the stream from
    before the bad rows ends with the good ones too. Rows are compared as they are stored.

    Args:
        publisher: of the table's deployment and generation.
        now: a server's store, all updates applied.
        record: the table in it.
        then: the snapshot, of which the newest table of this name counts.
        scratch: a folder that is made where rows have to be sorted.
        progress: called with rows done and their number.

    Example:

    >>> import os, tempfile, numpy as np
    >>> from tf_hps.publish import Publisher
    >>> from tf_hps.store import StoreReader, StoreWriter, from_arrays
    >>> folder = tempfile.mkdtemp()
    >>> for name, rows in [("then", [[1.0], [2.0]]), ("now", [[1.0], [9.0], [9.0]])]:
    ...     with StoreWriter(os.path.join(folder, name)) as writer:
    ...         generation = writer.write_table("t", from_arrays(np.array(rows, np.float32)))
    >>> with (StoreReader(os.path.join(folder, "now")) as now,
    ...       StoreReader(os.path.join(folder, "then")) as then,
    ...       Publisher(os.path.join(folder, "stream"), "shop", generation) as publisher):
    ...     record = now.record("t")
    ...     print(publish_rollback(publisher, now, record, then, os.path.join(folder, "sort")))
    ...     print(publisher.commit())
    Rollback(rows=1, erased=1)
    00000000000000000001.hpsu
    """
    done = Rollback()
    # Rows of another format are published as they were, not as this store would round them.
    source = then.source(record.name)
    wanted = then.record(record.name)
    for keys, extra in differences(now, record, source, os.fspath(scratch), progress):
        if len(keys):
            rows, _ = then.get(wanted, keys)
            publisher.publish(record.name, keys, decode_rows(rows, wanted.row_format))
            done.rows += len(keys)
        if len(extra):
            publisher.erase(record.name, extra)
            done.erased += len(extra)
    return done
