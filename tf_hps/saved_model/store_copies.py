"""Copies of stores inside of an export."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tf_hps.store import RowSource, StoreWriter
from tf_hps.store.copy import copy_store
from tf_hps.store.sources import Batch


class StoreCopies:
    """Collects the tables an export needs; copies each store once, with only those.

    Args:
        folder: the first store's copy; more get a number behind it.
    """

    def __init__(self, folder: str):
        self._folder = folder
        # By the store's path; None: tables that live in memory alone.
        self._tables: dict[str | None, dict[str, str]] = {}
        self._targets: dict[str | None, str] = {}

    def add(self, table: Any, store: str | None) -> tuple[str, str]:
        """Notes a table (of tf_hps._core) for copying; its store's folder here, and its generation."""
        if store not in self._targets:
            number = len(self._targets) + 1
            self._targets[store] = self._folder + (f"-{number}" if number > 1 else "")
        name, generation = table.spec["name"], table.spec["generation"]
        if store is None:
            # Rows in memory have no generation of their own yet.
            with StoreWriter(self._targets[store]) as writer:
                generation = writer.write_table(name, _LiveRows(table))
        known = self._tables.setdefault(store, {}).setdefault(name, generation)
        if known != generation:
            raise ValueError(
                f"One SavedModel holds one generation of a table. Received: table {name!r} of {store} in "
                f"generations {known} and {generation}"
            )
        return self._targets[store], generation

    def finish(self) -> None:
        """Copies."""
        for store, tables in self._tables.items():
            if store is not None:
                os.makedirs(os.path.dirname(self._targets[store]), exist_ok=True)
                copy_store(store, self._targets[store], tables)


class _LiveRows(RowSource):
    """The rows a table holds now, as they are stored."""

    def __init__(self, table: Any):
        spec = table.spec
        self.embedding_dim = spec["embedding_dim"]
        self.row_format = spec["row_format"]
        self.description = f"table {spec['name']!r}"
        self._table = table

    def __iter__(self) -> Iterator[Batch]:
        yield from self._table.scan()
