"""Which variables of a SavedModel become tables, and why the others stay."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_hps.saved_model.rewriting.asset_files import asset_chains, asset_files
from tf_hps.saved_model.rewriting.flow import Flow, Instance, Use
from tf_hps.saved_model.rewriting.fold_plan import NOTHING, FoldPlan, plan_folding
from tf_hps.saved_model.rewriting.graph_roots import GraphRoots
from tf_hps.saved_model.rewriting.objects import Objects
from tf_hps.saved_model.rewriting.origins import Origins
from tf_hps.saved_model.rewriting.partitions import Partitioned, Stitch, find_stitches
from tf_hps.saved_model.rewriting.variables import Variable, find_variables, readable
from tf_hps.saved_model.rewriting.vocabularies import Folding
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
    parts: tuple[Variable, ...] = ()  # All of a partitioned variable; `variable` is the first.
    strategy: str = ""  # How their rows take turns; see Partitioned.
    folding: Folding | None = None  # Its keys, where they are not the numbers of rows.

    @property
    def rows(self) -> int:
        return sum(part.shape[0] for part in self.parts) or self.variable.shape[0]

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts) or self.variable.bytes

    @property
    def embedding_dim(self) -> int:
        return self.variable.shape[1]

    @property
    def row_format(self) -> str:
        return str(self.variable.dtype.name)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(variable.node for variable in self.variables)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(variable.key for variable in self.variables))

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (*(self.parts or (self.variable,)), *self.copies)


@dataclasses.dataclass(frozen=True)
class KeptVariable:
    """A variable that stays; `is_lookup`: somebody looks rows up in it."""

    variable: Variable
    why: str
    is_lookup: bool


# Those of each body, by the id of its instance.
Stitches = Mapping[int, Sequence[Stitch]]


@dataclasses.dataclass(frozen=True)
class GraphPlan:
    """What is to be done with one meta graph.

    Attributes:
        flow: Where its variables go.
        roots: What of it can be run.
        saving: The functions that save or restore.
        tables: The variables that become tables.
        kept: Those that stay.
        stitches: The lookups in partitioned variables.
        dropped: Those that just go: nothing reads them, or an optimizer kept them beside a table's rows.
        fold: The vocabularies that go.
    """

    flow: Flow
    roots: GraphRoots
    saving: tuple[Instance, ...]
    tables: tuple[PlannedTable, ...]
    kept: tuple[KeptVariable, ...]
    stitches: Stitches
    dropped: tuple[Variable, ...]
    fold: FoldPlan

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
    fold_lookups: bool,
    folder: str,
) -> GraphPlan:
    """Looks at a meta graph and changes nothing.

    Args:
        meta_graph: A MetaGraphDef.
        checkpoint: Where its variables are; None where the SavedModel has none.
        objects: Its objects.
        min_rows: Variables with fewer rows stay.
        drop_unread: Whether variables go that no function reads.
        fold_lookups: Whether vocabularies go that only feed tables.
        folder: The SavedModel's, where its assets are.
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
    stitches = _stitches(flow, saving, variables)
    partitioned = _partitioned(stitches, uses, variables, min_rows)
    in_parts = {part for group in partitioned for part in group.parts}
    moving: list[tuple[Variable, list[Use]]] = []
    kept: list[KeptVariable] = []
    for variable in variables.values():
        used = uses.get(variable.node, [])
        if variable.node in in_parts or (not used and not variable.key):
            continue  # Without a key and a use: no server ever gives it a value.
        why = _why_kept(variable, used, min_rows)
        if why:
            kept.append(KeptVariable(variable, why, any(not use.why for use in used)))
        else:
            moving.append((variable, used))
    unread = [k.variable for k in kept if k.variable.node not in uses]
    tables = _tables(moving, unread)
    tables += _part_tables(partitioned, uses, variables, tables)
    moved = {node for table in tables for node in table.nodes}
    originals = {number for number, node in roots.nodes.items() if node in moved}
    slots = {roots.nodes.get(number) for number in objects.slots(originals)}
    dropped = [v for v in unread if v.node not in moved and (drop_unread or v.node in slots)]
    folded = NOTHING
    if fold_lookups:
        files = asset_files(meta_graph)
        assets = {
            node: os.path.join(folder, "assets", files[asset])
            for asset, chain in asset_chains(flow.graph.body, meta_graph).items()
            for node in chain
        }
        folded = _folded(flow, roots, saving, objects, tables, assets)
    tables = [dataclasses.replace(t, folding=folded.foldings.get(t.name)) for t in tables]
    gone = {*moved, *(variable.node for variable in dropped)}
    kept = [k for k in kept if k.variable.node not in gone]
    return GraphPlan(
        flow, roots, saving, tuple(tables), tuple(kept), stitches, tuple(dropped), folded
    )


def agreed(plans: Sequence[GraphPlan]) -> list[GraphPlan]:
    """The same plans, where meta graphs share a checkpoint: a variable moves in all of them or in none."""
    plans = list(plans)
    while True:
        kept = {k.variable.key for plan in plans for k in plan.kept}
        staying = [[t for t in plan.tables if kept.intersection(t.keys)] for plan in plans]
        if not any(staying):
            return plans
        plans = [_keeping(plan, tables) for plan, tables in zip(plans, staying, strict=True)]


def _keeping(plan: GraphPlan, tables: Sequence[PlannedTable]) -> GraphPlan:
    why = "another graph of the SavedModel uses it otherwise"
    kept = [KeptVariable(v, why, True) for table in tables for v in table.variables]
    moving = tuple(table for table in plan.tables if table not in tables)
    return dataclasses.replace(plan, tables=moving, kept=(*plan.kept, *kept))


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


def _stitches(
    flow: Flow, saving: Iterable[Instance], variables: Mapping[str, Variable]
) -> Stitches:
    rows = {v.node: v.shape[0] for v in variables.values() if v.shape}
    left_out = set(map(id, saving))
    instances = [i for i in (flow.graph, *flow.instances()) if id(i) not in left_out]
    return {id(instance): find_stitches(instance, rows) for instance in instances}


def _folded(
    flow: Flow,
    roots: GraphRoots,
    saving: Iterable[Instance],
    objects: Objects,
    tables: Iterable[PlannedTable],
    assets: Mapping[str, str],
) -> FoldPlan:
    left_out = set(map(id, saving))
    instances = [i for i in (flow.graph, *flow.instances()) if id(i) not in left_out]
    origins = Origins(flow, objects.saved)
    wanted = {table.name: (table.nodes, table.rows) for table in tables if not table.parts}
    return plan_folding(instances, roots.live, origins, wanted, assets)


def _partitioned(
    stitches: Stitches,
    uses: Mapping[str, list[Use]],
    variables: Mapping[str, Variable],
    min_rows: int,
) -> list[Partitioned]:
    """The partitioned variables of which all parts are always looked up together, the same way."""
    together: dict[str, set[Partitioned]] = {}
    stitched: dict[str, set[str]] = {}
    for stitch in (stitch for found in stitches.values() for stitch in found):
        for part, node in zip(stitch.partitioned.parts, stitch.lookups, strict=True):
            together.setdefault(part, set()).add(stitch.partitioned)
            stitched.setdefault(part, set()).add(node)

    def moves(group: Partitioned) -> bool:
        parts = [variables[part] for part in group.parts]
        kinds = {(part.shape[1:], part.dtype) for part in parts}
        return (
            len(kinds) == 1
            and len(set(group.parts)) == len(parts)
            and sum(part.shape[0] for part in parts) >= min_rows
            and all(together[part] == {group} for part in group.parts)
            and all(use.node in stitched[p] for p in group.parts for use in uses[p])
            and not any(_why_kept(part, uses[part.node], 0, True) for part in parts)
        )

    groups = dict.fromkeys(group for found in together.values() for group in found)
    return [group for group in groups if moves(group)]


def _part_tables(
    groups: Iterable[Partitioned],
    uses: Mapping[str, list[Use]],
    variables: Mapping[str, Variable],
    others: Iterable[PlannedTable],
) -> list[PlannedTable]:
    names = [table.name for table in others]
    tables = []
    for group in groups:
        parts = tuple(variables[part] for part in group.parts)
        names.append(_table_name(parts[0], names))
        used = tuple(uses[parts[0].node])
        tables.append(PlannedTable(names[-1], parts[0], used, (), parts, group.strategy))
    return tables


def _why_kept(variable: Variable, uses: Sequence[Use], min_rows: int, is_part: bool = False) -> str:
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
    if variable.slice and not is_part:
        return "a part of a partitioned variable, and not looked up together with the others"
    if variable.shape[0] < min_rows:
        return f"fewer than min_rows={min_rows} rows"
    if not variable.shape[0] or not variable.shape[1]:
        return "it has no rows"
    return ""


def _describe(uses: Sequence[Use]) -> str:
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
    if len(parts) > 1 and re.fullmatch(r"part(_\d+)?", parts[-1]):
        parts.pop()
    if len(parts) > 1 and parts[-1] in _LAST_PARTS:
        parts.pop()
    name = "/".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part) for part in parts)
    used, candidate, count = set(taken), name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}-{count}"
    return candidate
