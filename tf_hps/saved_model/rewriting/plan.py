"""Which variables of a SavedModel become tables, and why the others stay."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from tf_hps.saved_model.rewriting.flow import Flow, Instance, Use
from tf_hps.saved_model.rewriting.graph_roots import GraphRoots
from tf_hps.saved_model.rewriting.objects import Objects
from tf_hps.saved_model.rewriting.variables import Variable, find_variables, readable
from tf_hps.store.checkpoint_bundle import CheckpointBundle

UNREAD = "nothing reads it"
_DTYPES = ("float32", "float16", "bfloat16")
# What initializers call the variable of an embedding: its owner's name says more.
_LAST_PARTS = ("embeddings", "embedding_weights", "weights", "kernel", "table", "embedding")
# What TensorFlow calls a variable that nobody named.
_COUNTED = re.compile(r"Variable(_\d+)?")


@dataclasses.dataclass(frozen=True)
class PlannedTable:
    """A variable that becomes a table, with others that hold the same rows."""

    name: str
    variable: Variable
    uses: tuple[Use, ...]
    copies: tuple[Variable, ...] = ()

    @property
    def rows(self) -> int:
        return self.variable.shape[0]

    @property
    def embedding_dim(self) -> int:
        return self.variable.shape[1]

    @property
    def row_format(self) -> str:
        return str(self.variable.dtype.name)

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.variable.node, *(copy.node for copy in self.copies))

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.variable.key, *(copy.key for copy in self.copies))


@dataclasses.dataclass(frozen=True)
class KeptVariable:
    """A variable that stays; `is_lookup`: somebody looks rows up in it."""

    variable: Variable
    why: str
    is_lookup: bool


@dataclasses.dataclass(frozen=True)
class GraphPlan:
    """What is to be done with one meta graph."""

    flow: Flow
    roots: GraphRoots
    saving: tuple[Instance, ...]  # Functions that save or restore.
    tables: tuple[PlannedTable, ...]
    kept: tuple[KeptVariable, ...]
    dropped: tuple[
        Variable, ...
    ]  # What nothing reads, and an optimizer kept beside a table's rows.

    @property
    def dropped_keys(self) -> set[str]:
        """What the checkpoint is to have no more."""
        keys = {key for table in self.tables for key in table.keys}
        return keys | {variable.key for variable in self.dropped}

    def table_of(self) -> dict[str, PlannedTable]:
        """The tables by the nodes of their variables."""
        return {node: table for table in self.tables for node in table.nodes}


def plan_graph(
    meta_graph: Any,
    checkpoint: CheckpointBundle | None,
    objects: Objects,
    min_rows: int,
    drop_unread: bool,
) -> GraphPlan:
    """Looks at a meta graph and changes nothing.

    Args:
        meta_graph: A MetaGraphDef.
        checkpoint: Where its variables are; None where the SavedModel has none.
        objects: Its objects.
        min_rows: Variables with fewer rows stay.
        drop_unread: Whether variables go that no function reads.
    """
    flow = Flow(meta_graph.graph_def)
    roots = GraphRoots(meta_graph, flow)
    flow.visit_graph(roots.live)
    called = set(map(id, flow.instances()))
    flow.visit_graph(roots.saving)
    saving = tuple(i for i in flow.instances() if id(i) not in called)
    variables = find_variables(flow, checkpoint)
    roots.visit_objects(variables, objects.keys())
    saving = tuple(i for i in saving if id(i) not in roots.object_functions)
    uses = _uses(flow, roots, saving)
    moving: list[tuple[Variable, list[Use]]] = []
    kept: list[KeptVariable] = []
    for variable in variables.values():
        used = uses.get(variable.node, [])
        if not used and not variable.key:
            continue  # No server ever gives it a value.
        why = _why_kept(variable, used, min_rows)
        if why:
            kept.append(KeptVariable(variable, why, any(not use.why for use in used)))
        else:
            moving.append((variable, used))
    unread = [k.variable for k in kept if k.variable.node not in uses]
    tables = _tables(moving, unread)
    moved = {node for table in tables for node in table.nodes}
    originals = {number for number, node in roots.nodes.items() if node in moved}
    slots = {roots.nodes.get(number) for number in objects.slots(originals)}
    dropped = [v for v in unread if v.node not in moved and (drop_unread or v.node in slots)]
    gone = {*moved, *(variable.node for variable in dropped)}
    kept = [k for k in kept if k.variable.node not in gone]
    return GraphPlan(flow, roots, saving, tuple(tables), tuple(kept), tuple(dropped))


def _uses(flow: Flow, roots: GraphRoots, saving: Iterable[Instance]) -> dict[str, list[Use]]:
    """What reads or writes each variable, saving and restoring aside."""
    left_out = set(map(id, saving))
    found: dict[str, list[Use]] = {}
    graph_uses = [use for use in flow.graph.uses if use.node in roots.live]
    uses = [*graph_uses, *roots.results()]
    for instance in flow.instances():
        if id(instance) not in left_out:
            uses += instance.uses
    for use in dict.fromkeys(uses):
        found.setdefault(use.variable, []).append(use)
    return found


def _why_kept(variable: Variable, uses: list[Use], min_rows: int) -> str:
    others = [use for use in uses if use.why]
    looked_up = len(others) < len(uses)
    if not uses:
        return UNREAD
    if not looked_up:
        return f"not looked up: {_describe(others)}"
    if others:
        return f"also {_describe(others)}"
    if not variable.key:
        return "the checkpoint does not have it"
    if variable.dtype.name not in _DTYPES:
        return f"its rows are {variable.dtype.name}"
    if len(variable.shape) != 2 or -1 in variable.shape:
        return f"its shape is {list(variable.shape)}; rows are [rows, embedding_dim]"
    if variable.slice:
        return "a part of a partitioned variable"
    if variable.shape[0] < min_rows:
        return f"fewer than min_rows={min_rows} rows"
    if not variable.shape[0] or not variable.shape[1]:
        return "it has no rows"
    return ""


def _describe(uses: list[Use]) -> str:
    use = uses[0]
    where = f" in {use.function}" if use.function else ""
    more = f" and {len(uses) - 1} more" if len(uses) > 1 else ""
    return f"{use.why} ({use.node}{where}){more}"


def _tables(moving: list[tuple[Variable, list[Use]]], unread: list[Variable]) -> list[PlannedTable]:
    """Keras exports write every weight twice, once without a name: both are one table.

    Two variables with names stay two tables, however equal their rows are now.
    """
    groups: list[tuple[list[Variable], list[Use]]] = []
    for variable, used in moving:
        for variables, uses in groups:
            named = [bool(_COUNTED.fullmatch(v.name)) for v in (variable, variables[0])]
            if _is_copy(variable, variables[0]) and named[0] != named[1]:
                variables.append(variable)
                uses += used
                break
        else:
            groups.append(([variable], list(used)))
    tables: list[PlannedTable] = []
    for variables, uses in groups:
        variables += [v for v in unread if _is_copy(v, variables[0])]
        variables.sort(key=lambda v: bool(_COUNTED.fullmatch(v.name)))
        name = _table_name(variables[0], [table.name for table in tables])
        tables.append(PlannedTable(name, variables[0], tuple(uses), tuple(variables[1:])))
    return tables


def _is_copy(variable: Variable, other: Variable) -> bool:
    return (
        variable.checksum is not None
        and (variable.shape, variable.dtype) == (other.shape, other.dtype)
        and variable.checksum == other.checksum
    )


def _table_name(variable: Variable, taken: Iterable[str]) -> str:
    """A name in the letters that a store allows; the same model gets the same names again."""
    parts = [part for part in variable.name.split("/") if part]
    if not parts or _COUNTED.fullmatch(parts[-1]):
        parts = [part for part in readable(variable.key).split("/") if part]
    parts[-1] = re.sub(r"_\d+$", "", parts[-1]) if len(parts) > 1 else parts[-1]
    if len(parts) > 1 and parts[-1] in _LAST_PARTS:
        parts.pop()
    name = "/".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part) for part in parts)
    used, candidate, count = set(taken), name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}-{count}"
    return candidate
