"""Where what a function reads comes from: nodes of the main graph, by way of all its callers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tf_hps.saved_model.rewriting.flow import Flow, Instance, first_passed


class Origins:
    """Follows arguments back to the main graph.

    Args:
        flow: The functions, and who calls them.
        objects: The SavedObjectGraph: objects capture for their functions.
    """

    def __init__(self, flow: Flow, objects: Any) -> None:
        self._graph = flow.graph
        self._callers: dict[int, list[tuple[Instance, str]]] = {}
        instances: Iterable[Instance] = (flow.graph, *flow.instances())
        for instance in instances:
            for (node, _), callee in instance.calls.items():
                self._callers.setdefault(id(callee), []).append((instance, node))
        self._captured = {
            name: list(function.bound_inputs)
            for name, function in objects.concrete_functions.items()
        }
        # A function that the main graph calls too tells which node an object is.
        self.objects: dict[int, str] = {}
        body = flow.graph.body
        for (name, _), callee in flow.graph.calls.items():
            numbers = self._captured.get(callee.body.name, [])
            passed = body.data_inputs(body.nodes[name])
            for number, text in zip(reversed(numbers), reversed(passed), strict=False):
                self.objects[number] = body.tensor(text)[0]

    def node(self, instance: Instance, text: str) -> str | None:
        """The node of the main graph that a tensor is the output of; None where it is not the only one."""
        found = self._nodes(instance, text)
        return found.pop() if len(found) == 1 else None

    def graph_node(self, name: str) -> Any:
        """The node of the main graph that `node` named."""
        return self._graph.body.nodes[name]

    def constant(self, instance: Instance, text: str) -> Any:
        """The value of a tensor that is a constant here or in the main graph; None of others."""
        node = self._resolve(instance, text)
        if node is None or node.op != "Const":
            name = self.node(instance, text)
            node = self._graph.body.nodes.get(name) if name else None
        if node is None or node.op != "Const":
            return None
        return tf.make_ndarray(node.attr["value"].tensor)

    def _resolve(self, instance: Instance, text: str) -> Any:
        body = instance.body
        node = body.nodes.get(body.tensor(text)[0])
        while node is not None and node.op == "Identity":
            text = body.data_inputs(node)[0]
            node = body.nodes.get(body.tensor(text)[0])
        return node

    def _nodes(self, instance: Instance, text: str) -> set[str]:
        body = instance.body
        name = body.tensor(text)[0]
        node = body.nodes.get(name)
        while node is not None and node.op == "Identity":
            name = body.tensor(body.data_inputs(node)[0])[0]
            node = body.nodes.get(name)
        if not body.is_function:
            return {name}
        if name not in body.args:
            return {f"{body.name}: {name}"}  # No node of the main graph.
        position = body.args.index(name)
        found: set[str] = set()
        for caller, call in self._callers.get(id(instance), ()):
            node = caller.body.nodes[call]
            passed = caller.body.data_inputs(node)[first_passed(node) :]
            found |= self._nodes(caller, passed[position])
        captured = self._captured.get(body.name, [])
        at = position - (len(body.args) - len(captured))
        if captured and at >= 0:
            found.add(self.objects.get(captured[at], f"object {captured[at]}"))
        return found
