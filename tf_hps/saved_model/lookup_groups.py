"""Lookups of a SavedModel's functions put into one op, whatever model they come from."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry

from tf_hps.saved_model import function_edges
from tf_hps.saved_model.saved_model_proto import read_saved_model

_LOOKUP = "HpsLookup"
_GROUP = "HpsGroupLookup"
# Loops and branches of TensorFlow 1 inside a function: an order of nodes says nothing about them.
_CONTROL_FLOW = {"Switch", "RefSwitch", "Merge", "RefMerge", "Enter", "RefEnter", "NextIteration"}


@dataclasses.dataclass(frozen=True)
class LookupGroup:
    """Lookups of one function that became one op."""

    function: str
    lookups: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}: {len(self.lookups)} lookups in one op: {', '.join(self.lookups)}"


def group_saved_model(path: str) -> tuple[LookupGroup, ...]:
    """Groups the lookups of a SavedModel on disk, function by function."""
    file_name = os.path.join(path, "saved_model.pb")
    proto = read_saved_model(path)
    groups: list[LookupGroup] = []
    for meta_graph in proto.meta_graphs:
        found = [
            group
            for function in meta_graph.graph_def.library.function
            for group in group_lookups(function)
        ]
        used = meta_graph.meta_info_def.stripped_op_list.op
        if found and _GROUP not in {op.name for op in used}:
            used.append(op_def_registry.get(_GROUP))
        groups += found
    if groups:
        with open(file_name, "wb") as file:
            file.write(proto.SerializeToString(deterministic=True))
        # It is of the file that was.
        fingerprint = os.path.join(path, "fingerprint.pb")
        if os.path.exists(fingerprint):
            os.remove(fingerprint)
    return tuple(groups)


def group_lookups(function: Any) -> list[LookupGroup]:
    """Puts lookups of a FunctionDef that do not wait for each other into one op.

    Other functions that it calls are left alone; so are lookups that something is colocated with.
    """
    nodes = {node.name: node for node in function.node_def}
    if any(node.op in _CONTROL_FLOW for node in nodes.values()):
        return []
    colocated = {
        name.decode().removeprefix("loc:@")
        for node in nodes.values()
        if "_class" in node.attr
        for name in node.attr["_class"].list.s
    }
    members: dict[tuple[Any, ...], list[Any]] = {}
    for name, depth in _depths(function, nodes).items():
        node = nodes[name]
        # Asking an attr for what it does not have would put it there, empty.
        plain = node.op == _LOOKUP and not (
            "num_is_degraded" in node.attr and node.attr["num_is_degraded"].i
        )
        if plain and name not in colocated and "_class" not in node.attr:
            # Beside a GPU strings are in another memory than numbers.
            are_words = node.attr["Tids"].type == types_pb2.DT_STRING
            key = (depth, _dtype(node), are_words, node.device)
            members.setdefault(key, []).append(node)
    replaced: dict[str, str] = {}
    outputs: dict[str, str] = {}
    groups = []
    for lookups in members.values():
        if len(lookups) < 2:
            continue
        name = function_edges.unused_name("hps_group_lookup", function)
        _add_group(function, name, lookups)
        for i, node in enumerate(lookups):
            replaced[node.name] = name
            outputs[f"{node.name}:rows:0"] = f"{name}:rows:{i}"
        names = tuple(node.name for node in lookups)
        groups.append(LookupGroup(function.signature.name, names))
    if groups:
        function_edges.replace_nodes(function, replaced, outputs)
    return groups


def _depths(function: Any, nodes: dict[str, Any]) -> dict[str, int]:
    """How many lookups, one behind the other, each node waits for.

    Lookups of one depth do not wait for each other, and no loop comes from putting them together:
    whatever waits for one of them and is waited for by a lookup makes that one deeper.
    """
    before = function_edges.predecessors(function)
    depths: dict[str, int] = {}
    for name in function_edges.in_order(function):
        depths[name] = max(
            (depths[other] + (nodes[other].op == _LOOKUP) for other in before[name]), default=0
        )
    return depths


def _dtype(node: Any) -> int:
    """A SavedModel leaves out what an attribute is by default."""
    return int(node.attr["dtype"].type) if "dtype" in node.attr else types_pb2.DT_FLOAT


def _add_group(function: Any, name: str, lookups: list[Any]) -> None:
    group = function.node_def.add(name=name, op=_GROUP, device=lookups[0].device)
    data = [[text for text in node.input if not text.startswith("^")] for node in lookups]
    control = dict.fromkeys(text for node in lookups for text in node.input if text.startswith("^"))
    group.input.extend([*(d[0] for d in data), *(d[1] for d in data), *control])
    group.attr["num_tables"].i = len(lookups)
    group.attr["Tids"].list.type.extend(node.attr["Tids"].type for node in lookups)
    group.attr["embedding_dims"].list.i.extend(node.attr["embedding_dim"].i for node in lookups)
    group.attr["dtype"].type = _dtype(lookups[0])
    if all("_output_shapes" in node.attr for node in lookups):
        shapes = [shape for node in lookups for shape in node.attr["_output_shapes"].list.shape]
        group.attr["_output_shapes"].list.shape.extend(shapes)
