"""A GraphDef or a FunctionDef, seen as nodes that read outputs of nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tensorflow.core.framework import attr_value_pb2

# The producer's name, and which of its outputs. Good for nodes with one output or one list of them.
Tensor = tuple[str, int]


class Body:
    """The nodes of a graph (`name` is "") or of a function."""

    def __init__(self, proto: Any) -> None:
        self.is_function = hasattr(proto, "signature")
        self.proto = proto
        self.name: str = proto.signature.name if self.is_function else ""
        self.args: list[str] = (
            [argument.name for argument in proto.signature.input_arg] if self.is_function else []
        )
        self._taken: set[str] = set(self.args)
        self.nodes: dict[str, Any] = {}
        for node in self._list():
            self.nodes[node.name] = node
            self._taken.add(node.name)

    def tensor(self, text: str) -> Tensor:
        """What an input that is no control input names."""
        producer, *output = text.split(":")
        return producer, int(output[-1]) if output else 0

    def text(self, node: str, output: str, index: int = 0) -> str:
        """How an input names an output of a node."""
        return f"{node}:{output}:{index}" if self.is_function else f"{node}:{index}"

    def data_inputs(self, node: Any) -> list[str]:
        return [text for text in node.input if not text.startswith("^")]

    def returned(self) -> dict[str, str]:
        """What a function returns, by the names of its outputs, in their order."""
        if not self.is_function:
            return {}
        return {arg.name: self.proto.ret[arg.name] for arg in self.proto.signature.output_arg}

    def consumers(self) -> dict[str, list[Any]]:
        """The nodes that read data of each node."""
        found: dict[str, list[Any]] = {}
        for node in self.nodes.values():
            for text in self.data_inputs(node):
                found.setdefault(self.tensor(text)[0], []).append(node)
        return found

    def reached_from(self, names: Iterable[str]) -> set[str]:
        """These nodes and all that they wait for, by data or by control."""
        reached: set[str] = set()
        left = [name for name in names if name in self.nodes]
        while left:
            name = left.pop()
            if name in reached:
                continue
            reached.add(name)
            for text in self.nodes[name].input:
                producer = text.removeprefix("^").split(":", 1)[0]
                if producer in self.nodes and producer not in reached:
                    left.append(producer)
        return reached

    def add(self, wanted: str, op: str, inputs: Collection[str] = (), device: str = "") -> Any:
        name, number = wanted, 0
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        node = self._list().add(name=name, op=op, device=device)
        node.input.extend(inputs)
        self.nodes[name] = node
        return node

    def rename_outputs(self, renamed: Mapping[str, str]) -> None:
        """Lets every reader of an output, as inputs name it, read another one."""
        for node in self.nodes.values():
            for i, text in enumerate(node.input):
                if text in renamed:
                    node.input[i] = renamed[text]
        for name, text in self.returned().items():
            if text in renamed:
                self.proto.ret[name] = renamed[text]

    def remove(self, names: Collection[str]) -> None:
        """Takes out nodes whose data nobody reads; who waited for one waits for it no more."""
        if not names:
            return
        gone = set(names)
        kept = [node for node in self._list() if node.name not in gone]
        for node in kept:
            if any(text[1:] in gone for text in node.input if text.startswith("^")):
                node.input[:] = [t for t in node.input if not (t[0] == "^" and t[1:] in gone)]
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del self._list()[:]
        self._list().extend(copies)
        self.nodes = {node.name: node for node in self._list()}
        if self.is_function:
            for name, ending in dict(self.proto.control_ret).items():
                if ending in gone:
                    del self.proto.control_ret[name]
                    self.proto.signature.control_output.remove(name)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.nodes.values()))

    def _list(self) -> Any:
        return self.proto.node_def if self.is_function else self.proto.node


def attribute(node: Any, name: str) -> Any:
    """An attribute's value, an empty one where it has its default. (`node.attr[name]` would add it.)"""
    return node.attr[name] if name in node.attr else attr_value_pb2.AttrValue()


def set_constant(node: Any, value: Any) -> None:
    """Makes a node a constant, keeping its name and what it waits for."""
    import tensorflow as tf

    tensor = tf.make_tensor_proto(value)
    control = [text for text in node.input if text.startswith("^")]
    node.op = "Const"
    node.input[:] = control
    node.attr.clear()
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def constant(body: Body, text: str) -> Any:
    """The value of an input that is a constant, looked for through Identity; None where it is none."""
    import tensorflow as tf

    node = body.nodes.get(body.tensor(text)[0])
    while node is not None and node.op == "Identity":
        node = body.nodes.get(body.tensor(node.input[0])[0])
    if node is None or node.op != "Const":
        return None
    return tf.make_ndarray(node.attr["value"].tensor)
