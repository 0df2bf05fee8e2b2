"""Lookups of a functional model put into one op, and taken apart again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras import tree

from tf_hps.layers import HpsEmbedding, HpsEmbeddingGroup
from tf_hps.swap.functional_graph import InputsLike, ModelLike, Rebuilt, graph_nodes


def group_lookups(model: Any, inputs_like: InputsLike, model_like: ModelLike) -> Any:
    """`model` with one HpsEmbeddingGroup for all lookups that wait for no other lookup's rows.

    Returns `model` itself where there are not two of them.
    """
    nodes = graph_nodes(model)
    lookups = [node for node in nodes if _is_groupable(node)]
    behind = _behind(nodes, lookups)
    first = [node for node in lookups if id(node) not in behind]
    if len(first) < 2:
        return model
    names = _names(node.operation.name for node in first)
    group = HpsEmbeddingGroup(
        {name: node.operation for name, node in zip(names, first, strict=True)},
        name=_unused_name("embedding_group", model),
    )

    rebuilt = Rebuilt(model, inputs_like)
    taken = {id(node) for node in first}
    rebuilt.call(node for node in nodes if id(node) not in taken | behind)
    ids = {name: rebuilt[node.input_tensors[0]] for name, node in zip(names, first, strict=True)}
    rows = group(ids)
    for name, node in zip(names, first, strict=True):
        rebuilt[node.output_tensors[0]] = rows[name]
    rebuilt.call(node for node in nodes if id(node) in behind)
    return rebuilt.model(model_like)


def ungroup_lookups(model: Any, inputs_like: InputsLike, model_like: ModelLike) -> Any:
    """The opposite: each feature of a group is looked up by its own layer again."""
    nodes = graph_nodes(model)
    if not any(isinstance(node.operation, HpsEmbeddingGroup) for node in nodes):
        return model
    rebuilt = Rebuilt(model, inputs_like)
    for node in nodes:
        if not isinstance(node.operation, HpsEmbeddingGroup):
            rebuilt.call([node])
            continue
        (ids,), _ = node.arguments.fill_in(rebuilt.tensors)
        rows = {name: layer(ids[name]) for name, layer in node.operation.layers.items()}
        for before, after in zip(node.output_tensors, tree.flatten(rows), strict=True):
            rebuilt[before] = after
    return rebuilt.model(model_like)


def _behind(nodes: list[Any], lookups: list[Any]) -> set[int]:
    """The nodes, by id, that depend on a lookup's rows."""
    rows = {id(tensor) for node in lookups for tensor in node.output_tensors}
    behind = set()
    for node in nodes:
        if any(id(tensor) in rows for tensor in node.input_tensors):
            behind.add(id(node))
            rows.update(id(tensor) for tensor in node.output_tensors)
    return behind


def _is_groupable(node: Any) -> bool:
    layer = node.operation
    return (
        isinstance(layer, HpsEmbedding)
        and layer.combiner is None
        and layer.activity_regularizer is None  # belongs to a call of the layer itself
        and len(node.input_tensors) == 1
    )


def _names(wanted: Iterable[str]) -> list[str]:
    names: list[str] = []
    for name in wanted:
        number = sum(other == name or other.startswith(f"{name}/") for other in names)
        names.append(f"{name}/{number}" if number else name)
    return names


def _unused_name(name: str, model: Any) -> str:
    taken = {operation.name for operation in model.operations}
    return next(
        n for n in (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2))) if n not in taken
    )
