"""Plans in words."""

from __future__ import annotations

from collections.abc import Sequence

from tf_hps.saved_model.rewriting.plan import UNREAD, GraphPlan, PlannedTable
from tf_hps.saved_model.rewriting.report import KeptReport, RewriteReport, TableReport
from tf_hps.saved_model.rewriting.variables import Variable

_MEANING = {
    "default_row": "ids outside of the vocabulary were an error and get the default row now",
    "wrap_negatives": "negative ids were an error and count from the end now",
}


def make_report(path: str, plans: Sequence[GraphPlan], out_of_range: str) -> RewriteReport:
    """What these plans would do."""
    tables: dict[str, TableReport] = {}
    kept: dict[str, KeptReport] = {}
    dropped: dict[str, Variable] = {}
    notes = []
    for plan in plans:
        for table in plan.tables:
            variable = table.variable
            tables[table.name] = TableReport(
                table=table.name,
                variable=_name(table),
                rows=table.rows,
                embedding_dim=table.embedding_dim,
                row_format=table.row_format,
                bytes=table.bytes,
                lookups=len(table.uses),
                dropped_bytes=sum(copy.bytes for copy in table.copies),
            )
            dropped.update({copy.key: copy for copy in table.copies})
        dropped.update({variable.key: variable for variable in plan.dropped})
        for entry in plan.kept:
            variable = entry.variable
            kept[f"{variable.key or variable.node} {variable.slice}"] = KeptReport(
                variable=variable.name,
                shape=variable.shape,
                dtype=str(variable.dtype.name),
                bytes=variable.bytes,
                is_lookup=entry.is_lookup,
                why=entry.why,
            )
    if dropped:
        size = sum(variable.bytes for variable in dropped.values())
        notes.append(
            f"{len(dropped)} more variables go, {size:,} bytes: copies of the tables' rows, or what no "
            "function reads"
        )
    unread = [entry for entry in kept.values() if entry.why == UNREAD]
    if unread:
        size = sum(entry.bytes for entry in unread)
        notes.append(
            f"no function reads {len(unread)} variables that stay, {size:,} bytes; drop_unread=True "
            "(--drop_unread) leaves them out"
        )
    if tables and out_of_range in _MEANING:
        notes.append(_MEANING[out_of_range])
    after = sum(entry.bytes for entry in kept.values())
    before = sum(table.bytes for table in tables.values())
    before += after + sum(variable.bytes for variable in dropped.values())
    return RewriteReport(
        source=path,
        output="",
        store="",
        tables=tuple(tables.values()),
        kept=tuple(sorted(kept.values(), key=lambda entry: (-entry.bytes, entry.variable))),
        bytes_before=before,
        bytes_after=after,
        notes=tuple(notes),
    )


def _name(table: PlannedTable) -> str:
    if not table.parts:
        return table.variable.name
    return f"{table.variable.name} and {len(table.parts) - 1} more ({table.strategy})"
