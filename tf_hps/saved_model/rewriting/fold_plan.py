"""Which vocabularies go, and with which tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tf_hps.saved_model.rewriting.flow import Instance
from tf_hps.saved_model.rewriting.origins import Origins
from tf_hps.saved_model.rewriting.vocabularies import (
    FIND,
    INITIALIZERS,
    SIZE,
    CannotFold,
    FoldedLookup,
    Folding,
    fold,
    read_vocabularies,
)


@dataclasses.dataclass(frozen=True)
class HashTable:
    """Who has to do with a hash table: functions and nodes, "" for the main graph."""

    finds: frozenset[tuple[str, str]]
    fillers: frozenset[tuple[str, str]]  # Nodes of the main graph, and the functions they call.
    is_used_otherwise: bool


@dataclasses.dataclass(frozen=True)
class FoldPlan:
    """Foldings by the names of tables, the lookups of each body by its instance's id, hash tables by
    their nodes, and why others stay, by the names of tables."""

    foldings: Mapping[str, Folding]
    lookups: Mapping[int, Sequence[FoldedLookup]]
    hash_tables: Mapping[str, HashTable]
    stay: Mapping[str, str]


NOTHING = FoldPlan({}, {}, {}, {})


def plan_folding(
    instances: Sequence[Instance],
    live: Collection[str],
    origins: Origins,
    tables: Mapping[str, tuple[Collection[str], int]],
    assets: Mapping[str, str],
) -> FoldPlan:
    """Looks for vocabularies.

    Args:
        instances: The main graph and the functions that do not save.
        live: The nodes of the main graph that count.
        origins: Where what they read comes from.
        tables: The variables' nodes and the rows of each table, by its name.
        assets: Files by the nodes that name them.
    """
    vocabularies = read_vocabularies(instances, origins, assets)
    foldings: dict[str, Folding] = {}
    lookups: dict[int, list[FoldedLookup]] = {}
    stay: dict[str, str] = {}
    for name, (variables, rows) in tables.items():
        try:
            found = [
                (instance, *fold(instance, node, origins, vocabularies, rows))
                for instance, node in _lookups(instances, live, variables)
            ]
            if not all(folding.same(found[0][2]) for _, _, folding in found):
                raise CannotFold("it is looked up by way of several vocabularies")
        except CannotFold as error:
            stay[name] = str(error)
            continue
        foldings[name] = found[0][2]
        for instance, lookup, _ in found:
            lookups.setdefault(id(instance), []).append(lookup)
    wanted = {folding.hash_table for folding in foldings.values()}
    hash_tables = {node: _hash_table(node, instances, origins) for node in sorted(wanted)}
    return FoldPlan(foldings, lookups, hash_tables, stay)


def _lookups(
    instances: Iterable[Instance], live: Collection[str], variables: Collection[str]
) -> list[tuple[Instance, Any]]:
    return [
        (instance, instance.body.nodes[use.node])
        for instance in instances
        for use in instance.uses
        if use.variable in variables and not use.why
        if instance.body.is_function or use.node in live
    ]


def _hash_table(table: str, instances: Iterable[Instance], origins: Origins) -> HashTable:
    finds, fillers, is_used_otherwise = set(), set(), False
    filling = set()
    for instance in instances:
        for node in instance.body:
            if not node.op.startswith(("LookupTable", "InitializeTable")):
                continue
            handle = instance.body.data_inputs(node)[0]
            if origins.node(instance, handle) != table:
                continue
            if node.op in (FIND, SIZE):
                finds.add((instance.body.name, node.name))
            elif node.op not in INITIALIZERS:
                is_used_otherwise = True
            elif instance.body.is_function:
                filling.add(id(instance))
            else:
                fillers.add((node.name, ""))
    for instance in instances:
        for (name, _), callee in instance.calls.items():
            if id(callee) in filling:
                is_used_otherwise |= instance.body.is_function
                fillers.add((name, callee.body.name))
    return HashTable(frozenset(finds), frozenset(fillers), is_used_otherwise)
