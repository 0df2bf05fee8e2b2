"""The inputs of the nodes of a FunctionDef: what stands where, and putting something else there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def producer(text: str) -> str:
    """The node, or the argument, that an input names: "node:output:index", "argument" or "^node"."""
    return text.removeprefix("^").split(":", 1)[0]


def predecessors(function: Any) -> dict[str, list[str]]:
    """The nodes that each node waits for, by data or by control."""
    names = {node.name for node in function.node_def}
    return {
        node.name: [name for name in map(producer, node.input) if name in names]
        for node in function.node_def
    }


def in_order(function: Any) -> list[str]:
    """The nodes' names, each behind those that it waits for. A loop of nodes is a ValueError."""
    before = predecessors(function)
    waits_for = {name: len(set(others)) for name, others in before.items()}
    behind: dict[str, list[str]] = {name: [] for name in before}
    for name, others in before.items():
        for other in set(others):
            behind[other].append(name)
    order = [name for name, count in waits_for.items() if count == 0]
    for name in order:
        for other in behind[name]:
            waits_for[other] -= 1
            if waits_for[other] == 0:
                order.append(other)
    if len(order) != len(before):
        raise ValueError(f"function {function.signature.name!r} has a loop among its nodes")
    return order


def replace_nodes(function: Any, replaced: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Takes nodes out, and lets others stand for them wherever the function names them.

    Args:
        function: A FunctionDef. It holds the new nodes already.
        replaced: For each node that goes, the one whose end those wait for that waited for its end.
        outputs: For each output of theirs, "node:output:index", the one that takes its place.
    """
    kept = [node for node in function.node_def if node.name not in replaced]
    for node in kept:
        inputs = [_input(text, replaced, outputs) for text in node.input]
        data = [text for text in inputs if not text.startswith("^")]
        control = dict.fromkeys(text for text in inputs if text.startswith("^"))
        node.input[:] = [*data, *control]
    nodes = [type(node).FromString(node.SerializeToString()) for node in kept]
    del function.node_def[:]
    function.node_def.extend(nodes)
    # Copies: a map must not change while it is gone through.
    for name, text in dict(function.ret).items():
        function.ret[name] = outputs.get(text, text)
    ends: set[str] = set()
    for name, ending in dict(function.control_ret).items():
        new = replaced.get(ending, ending)
        if new in ends:  # A function names no node twice.
            del function.control_ret[name]
            function.signature.control_output.remove(name)
        else:
            function.control_ret[name] = new
        ends.add(new)


def unused_name(wanted: str, function: Any) -> str:
    taken = {node.name for node in function.node_def}
    taken.update(argument.name for argument in function.signature.input_arg)
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _input(text: str, replaced: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    if text.startswith("^"):
        return "^" + replaced.get(text[1:], text[1:])
    return outputs.get(text, text)
