"""Where the use of a meta graph begins: signatures, initializers, and functions that objects offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tf_hps.saved_model.rewriting.flow import Flow, Instance, Use, Value
from tf_hps.saved_model.rewriting.variables import Variable

INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


class GraphRoots:
    """What of a meta graph can be run.

    Attributes:
        live: Nodes of the main graph that signatures and initializers need.
        saving: Those that saving and restoring need beside them.
        nodes: The variables' nodes by the numbers of their objects.
        object_functions: The ids of the instances that objects offer.
    """

    def __init__(self, meta_graph: Any, flow: Flow) -> None:
        self._meta_graph = meta_graph
        self._flow = flow
        body = flow.graph.body
        self._outputs = {
            tensor.name: key
            for key, signature in meta_graph.signature_def.items()
            for info in signature.outputs.values()
            for tensor in _tensors(info)
        }
        inputs = {
            _node(tensor.name)
            for signature in meta_graph.signature_def.values()
            for info in signature.inputs.values()
            for tensor in _tensors(info)
        }
        starts = {*map(_node, self._outputs), *inputs, *init_nodes(meta_graph)}
        self.live = body.reached_from(starts)
        saver = meta_graph.saver_def
        savers = (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name)
        self.saving = body.reached_from(map(_node, savers)) - self.live
        self.nodes: dict[int, str] = {}
        self._roots: list[Instance] = []

    @property
    def object_functions(self) -> set[int]:
        return set(map(id, self._roots))

    @property
    def functions(self) -> list[Instance]:
        """The functions that objects offer."""
        return list(self._roots)

    def visit_objects(self, variables: Mapping[str, Variable], keys: Mapping[int, str]) -> None:
        """Follows variables through the functions of a SavedModel's objects.

        Args:
            variables: The variables of the main graph.
            keys: The names in the checkpoint by the numbers of objects.
        """
        objects = self._meta_graph.object_graph_def
        by_key = {v.key: v.node for v in variables.values() if v.key}
        self.nodes = {
            number: by_key[keys[number]]
            for number, node in enumerate(objects.nodes)
            if node.WhichOneof("kind") == "variable" and keys.get(number) in by_key
        }
        values = {number: self._flow.graph.values[node, 0] for number, node in self.nodes.items()}
        signatures = {
            f.signature.name: len(f.signature.input_arg)
            for f in self._meta_graph.graph_def.library.function
        }
        for name, function in sorted(objects.concrete_functions.items()):
            if name not in signatures:
                continue
            captured: list[Value | None] = [values.get(n) for n in function.bound_inputs]
            own: list[Value | None] = [None] * (signatures[name] - len(captured))
            self._roots.append(self._flow.visit_function(name, (*own, *captured)))
        # What is referred to otherwise, by attributes that only TensorFlow knows.
        met = {instance.body.name for instance in self._flow.instances()}
        for name, count in signatures.items():
            if name not in met:
                self._flow.visit_function(name, (None,) * count)

    def results(self) -> Iterator[Use]:
        """Variables that are handed out as they are."""
        graph = self._flow.graph
        for text, signature in self._outputs.items():
            value = graph.input_value(text)
            if value is not None:
                yield Use(value.variable, "", _node(text), "", f"an output of {signature}")
        for instance in self._roots:
            for value in filter(None, instance.returned()):
                name = instance.body.name
                yield Use(value.variable, name, name, "", "returned by a function")


def init_nodes(meta_graph: Any) -> list[str]:
    """The nodes that a server runs after it restored the variables."""
    names = []
    signature = meta_graph.signature_def.get(INIT_SIGNATURE)
    if signature is not None:
        names += [info.name for info in signature.outputs.values()]
    for key in _INIT_COLLECTIONS:
        if key in meta_graph.collection_def:
            names += meta_graph.collection_def[key].node_list.value
    return [_node(name) for name in names]


def _node(tensor: str) -> str:
    return tensor.removeprefix("^").split(":", 1)[0]


def _tensors(info: Any) -> list[Any]:
    """The tensors that a TensorInfo names: a sparse or composite one has several."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        names = (
            sparse.values_tensor_name,
            sparse.indices_tensor_name,
            sparse.dense_shape_tensor_name,
        )
        return [type(info)(name=name) for name in names]
    if kind == "composite_tensor":
        return list(info.composite_tensor.components)
    return [info]
