"""A store's rows as they are now, to go back to."""

import os
from collections.abc import Mapping

from tf_hps.store.copy import copy_store
from tf_hps.store.errors import StoreInUseError
from tf_hps.store.reader import StoreReader
from tf_hps.store.writer import StoreWriter


def snapshot_store(
    source: str | os.PathLike[str], target: str | os.PathLike[str], tables: Mapping[str, str]
) -> bool:
    """Makes `target` a store with some tables of `source`, while servers use that.

    Args:
        source: The store's folder.
        target: The new folder; must not exist.
        tables: The generation wanted, by name of the table.

    Returns:
        Whether files are shared with `source` by hard links: a RocksDB checkpoint. Otherwise another
        process writes into the store, and all rows were read, as of one moment, and written: their
        generations are those of the rows as they are now.
    """
    try:
        copy_store(source, target, tables)
        return True
    except StoreInUseError:
        pass
    with StoreReader(source) as reader, StoreWriter(target) as writer:
        for name, generation in tables.items():
            writer.write_table(name, reader.source(name, generation))
    return False
