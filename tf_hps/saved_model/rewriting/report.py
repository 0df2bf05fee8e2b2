"""What a rewrite moved, what it left and why, and what the check said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from tf_hps.aligned_columns import aligned

_LARGEST = 10


@dataclasses.dataclass(frozen=True)
class TableReport:
    """A variable that became a table."""

    table: str
    variable: str
    rows: int
    embedding_dim: int
    row_format: str
    bytes: int
    lookups: int
    keys: int  # Known to a vocabulary that went; 0 where none did.
    dropped_bytes: int  # Copies that nothing read, and what an optimizer kept beside the variable.
    generation: str = ""


@dataclasses.dataclass(frozen=True)
class KeptReport:
    """A variable that stayed; `is_lookup`: somebody looks rows up in it."""

    variable: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    is_lookup: bool
    why: str


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """One signature, or the rows: `equal` is None where it could not be checked."""

    what: str
    equal: bool | None
    detail: str


@dataclasses.dataclass(frozen=True)
class RewriteReport:
    """The outcome of `tf_hps.saved_model.rewrite`; `print` shows it as a table.

    Attributes:
        source: The SavedModel that was read.
        output: The one that was written; empty for a dry run.
        store: Where the rows are; empty for a dry run.
        tables: What became tables.
        kept: All other variables, the largest first.
        bytes_before: Bytes of all variables that a server held in memory.
        bytes_after: Bytes of those that stay variables.
        grouped: How many lookups became part of a group.
        checks: What was compared, and how that went.
        notes: What the caller should know besides.
    """

    source: str
    output: str
    store: str
    tables: tuple[TableReport, ...]
    kept: tuple[KeptReport, ...]
    bytes_before: int
    bytes_after: int
    grouped: int = 0
    checks: tuple[CheckReport, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[KeptReport, ...]:
        """Lookups that were left as they are."""
        return tuple(kept for kept in self.kept if kept.is_lookup)

    def written(
        self, output: str, store: str, generations: Mapping[str, str], grouped: int
    ) -> RewriteReport:
        """The same of what was done."""
        tables = tuple(
            dataclasses.replace(table, generation=generations[table.table]) for table in self.tables
        )
        return dataclasses.replace(self, output=output, store=store, tables=tables, grouped=grouped)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    def __str__(self) -> str:
        text = []
        if self.tables:
            header = ("table", "variable", "rows", "dim", "format", "bytes", "lookups")
            moved = [
                (
                    table.table,
                    table.variable,
                    f"{table.rows:,}",
                    str(table.embedding_dim),
                    table.row_format,
                    f"{table.bytes:,}",
                    str(table.lookups),
                )
                for table in self.tables
            ]
            text += aligned([header, *moved], numbers=(2, 3, 5, 6), rule=True)
        else:
            text.append("no lookup moves to a table")
        if self.left:
            text += ["", "lookups left as they are:"]
            text += [f"  {kept.variable} {list(kept.shape)}: {kept.why}" for kept in self.left]
        if self.kept:
            text += ["", "largest variables left:"]
            stayed = [
                (kept.variable, str(list(kept.shape)), f"{kept.bytes:,}", kept.why)
                for kept in self.kept[:_LARGEST]
            ]
            text += aligned(
                [("variable", "shape", "bytes", "why"), *stayed], numbers=(2,), rule=True
            )
        text += [
            "",
            f"variables: {self.bytes_before:,} bytes before, {self.bytes_after:,} after; "
            f"tables: {sum(table.bytes for table in self.tables):,} bytes"
            + (f" in {self.store}" if self.store else ""),
        ]
        if self.grouped:
            text.append(f"{self.grouped} lookups share group lookups")
        text += [f"check: {check.what}: {check.detail}" for check in self.checks]
        text += [f"note: {note}" for note in self.notes]
        return "\n".join(text)
