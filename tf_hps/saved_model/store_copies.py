"""Copies of stores inside of an export."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from tf_hps.store import RowSource, StoreWriter
from tf_hps.store.copy import copy_store
from tf_hps.store.sources import Batch


class StoreCopies:
    """Collects the tables an export needs; copies each store once, with only those.

    Args:
        folder: the first store's copy; more get a number behind it.
        bases: generations by table: of that one the store is copied, and the rows that differ now are
            written over it.
    """

    def __init__(self, folder: str, bases: Mapping[str, str]):
        self._folder = folder
        self._bases = bases
        # By the store's path; None: tables that live in memory alone.
        self._tables: dict[str | None, dict[str, Any]] = {}
        self._targets: dict[str | None, str] = {}

    def add(self, table: Any, store: str | None) -> None:
        """Notes a table (of tf_hps._core) for copying."""
        if store not in self._targets:
            number = len(self._targets) + 1
            self._targets[store] = self._folder + (f"-{number}" if number > 1 else "")
        name, generation = table.spec["name"], table.spec["generation"]
        if store is None and name in self._bases:
            raise ValueError(
                f"`base` is for tables with a RocksDB tier; rows of table {name!r} are in memory alone. "
                f"Received: base={self._bases[name]!r}"
            )
        known = self._tables.setdefault(store, {}).setdefault(name, table).spec["generation"]
        if known != generation:
            raise ValueError(
                f"One SavedModel holds one generation of a table. Received: table {name!r} of {store} in "
                f"generations {known} and {generation}"
            )

    def write(self) -> dict[tuple[str | None, str], str]:
        """Copies; the generation of each table in its copy, by the store and the table's name."""
        generations: dict[tuple[str | None, str], str] = {}
        for store, tables in self._tables.items():
            if store is None:
                # Rows in memory have no generation of their own yet.
                with StoreWriter(self._targets[store]) as writer:
                    written = {
                        name: writer.write_table(name, _LiveRows(table))
                        for name, table in tables.items()
                    }
            else:
                written = self._copy(store, tables)
            generations |= {(store, name): generation for name, generation in written.items()}
        return generations

    def folder(self, store: str | None) -> str:
        """The copy's folder."""
        return self._targets[store]

    def _copy(self, store: str, tables: dict[str, Any]) -> dict[str, str]:
        target = self._targets[store]
        bases = {name: base for name, base in self._bases.items() if name in tables}
        generations = {name: table.spec["generation"] for name, table in tables.items()} | bases
        os.makedirs(os.path.dirname(target), exist_ok=True)
        copy_store(store, target, generations)
        if not bases:
            return generations
        with StoreWriter(target) as writer:
            for name, base in bases.items():
                rows = _LiveRows(tables[name])
                generations[name] = writer.write_delta(name, base, rows, complete=True)
                _drop_unused(writer, name, generations[name])
        return generations


def _drop_unused(writer: StoreWriter, name: str, generation: str) -> None:
    """A base that was a delta itself, or that has nothing to do with the rows any more."""
    records = [record for record in writer.tables() if record.name == name]
    used = {r.base for r in records if r.generation == generation} | {generation}
    # Deltas before what they lie over.
    for record in sorted(records, key=lambda record: record.base is None):
        if record.generation not in used:
            writer.drop_table(name, record.generation)


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
