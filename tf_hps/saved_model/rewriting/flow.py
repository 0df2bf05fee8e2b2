"""Where the variables of a graph go: through reads, calls, branches and loops, into every function."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tensorflow.core.framework import types_pb2

from tf_hps.saved_model.rewriting.body import Body, Tensor, attribute, constant

REF_VARIABLES = ("VariableV2", "Variable")
HANDLES = ("VarHandleOp", *REF_VARIABLES)
# What hands on what it gets. After a rewrite all of them hand on the table's handle.
READS = ("ReadVariableOp",)
PASSES = ("Identity", "StopGradient", "PreventGradient", "Enter", "RefEnter", *READS)
SHAPES = ("Shape", "VariableShape")
LOOKUPS = ("ResourceGather", "GatherV2", "Gather")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_IFS = ("If", "StatelessIf")
_CASES = ("Case", "StatelessCase")
_WHILES = ("While", "StatelessWhile")
_IDS = (types_pb2.DT_INT16, types_pb2.DT_INT32, types_pb2.DT_INT64)


@dataclasses.dataclass(frozen=True)
class Value:
    """A variable's handle, or all of its rows: what a tensor carries."""

    variable: str  # The node of the main graph that it comes from.
    rows: bool
    casts: tuple[int, ...] = ()  # The types that the rows were cast to on the way.


Bindings = tuple[Value | None, ...]


@dataclasses.dataclass(frozen=True)
class Use:
    """A node that takes a variable. `why`: what makes the use no lookup; empty for a lookup."""

    variable: str
    function: str
    node: str
    op: str
    why: str = ""


@dataclasses.dataclass(eq=False)
class Instance:
    """A body with what its arguments carry. A function that is called with different variables has many."""

    body: Body
    bindings: Bindings
    compiled: bool  # by XLA
    values: dict[Tensor, Value | None] = dataclasses.field(default_factory=dict)
    # By the calling node, and the number of the function among those it names.
    calls: dict[tuple[str, int], Instance] = dataclasses.field(default_factory=dict)
    uses: list[Use] = dataclasses.field(default_factory=list)
    seen: set[str] = dataclasses.field(default_factory=set)

    def input_value(self, text: str) -> Value | None:
        return self.values.get(self.body.tensor(text))

    def returned(self) -> list[Value | None]:
        return [self.input_value(text) for text in self.body.returned().values()]


class Flow:
    """Follows variables through a graph and its functions."""

    def __init__(self, graph_def: Any) -> None:
        self._functions = {f.signature.name: f for f in graph_def.library.function}
        self._instances: dict[tuple[str, Bindings, bool], Instance] = {}
        self.graph = Instance(Body(graph_def), (), False)
        for node in self.graph.body:
            if node.op in HANDLES:
                is_rows = node.op in REF_VARIABLES
                self.graph.values[node.name, 0] = Value(node.name, is_rows)

    def instances(self) -> Iterator[Instance]:
        """The functions that were met, each as often as it is called with other variables."""
        yield from self._instances.values()

    def visit_graph(self, names: Collection[str]) -> None:
        """Follows variables through these nodes of the main graph, and what they call."""
        self._visit(self.graph, names)

    def visit_function(self, name: str, bindings: Bindings, compiled: bool = False) -> Instance:
        known = self._instances.get((name, bindings, compiled))
        if known is None:
            body = Body(self._functions[name])
            known = Instance(body, bindings, compiled)
            self._instances[name, bindings, compiled] = known
            for argument, value in zip(body.args, bindings, strict=True):
                if value is not None:
                    known.values[argument, 0] = value
            self._visit(known, body.nodes)
        return known

    def _visit(self, instance: Instance, names: Collection[str]) -> None:
        for name in names:
            self._visit_node(instance, instance.body.nodes[name])

    def _visit_node(self, instance: Instance, start: Any) -> None:
        """Visits what a node reads first. Loops of nodes, as TensorFlow 1 has them, carry no variable."""
        body = instance.body
        left = [(start, False)]
        while left:
            node, is_ready = left.pop()
            if is_ready:
                self._follow(instance, node)
            elif node.name not in instance.seen:
                instance.seen.add(node.name)
                left.append((node, True))
                producers = (body.tensor(text)[0] for text in body.data_inputs(node))
                left += [(body.nodes[p], False) for p in producers if p in body.nodes]

    def _follow(self, instance: Instance, node: Any) -> None:
        inputs = [instance.input_value(text) for text in instance.body.data_inputs(node)]
        functions = called_functions(node)
        if functions:
            self._follow_call(instance, node, inputs, functions)
            return
        for position, value in enumerate(inputs):
            if value is None:
                continue
            if node.op in PASSES and position == 0:
                instance.values[node.name, 0] = Value(
                    value.variable, value.rows or node.op in READS, value.casts
                )
            elif node.op == "Switch" and position == 0:
                instance.values[node.name, 0] = instance.values[node.name, 1] = value
            elif node.op == "Cast" and value.rows:
                casts = (*value.casts, attribute(node, "DstT").type)
                instance.values[node.name, 0] = Value(value.variable, True, casts)
            elif node.op in LOOKUPS and position == 0:
                self._use(instance, node, value, _why_no_lookup(instance, node))
            elif node.op not in SHAPES:
                self._use(instance, node, value, f"used by {node.op}")

    def _use(self, instance: Instance, node: Any, value: Value, why: str) -> None:
        use = Use(value.variable, instance.body.name, node.name, node.op, why)
        instance.uses.append(use)

    def _follow_call(
        self,
        instance: Instance,
        node: Any,
        inputs: Sequence[Value | None],
        functions: list[str],
    ) -> None:
        passed = inputs[first_passed(node) :]
        for value in inputs[: first_passed(node)]:
            if value is not None:
                self._use(instance, node, value, f"decides a {node.op}")
        known = all(name in self._functions for name in functions)
        if node.op not in (*_CALLS, *_IFS, *_CASES, *_WHILES) or not known:
            for value in filter(None, passed):
                self._use(instance, node, value, f"handed to the function of a {node.op}")
            return
        compiled = instance.compiled or attribute(node, "_XlaMustCompile").b
        called = []
        for number, name in enumerate(functions):
            compiles = compiled or attribute(self._functions[name], "_XlaMustCompile").b
            callee = self.visit_function(name, tuple(passed), compiles)
            instance.calls[node.name, number] = callee
            called.append(callee)
        self._set_results(instance, node, passed, called)

    def _set_results(
        self,
        instance: Instance,
        node: Any,
        passed: Sequence[Value | None],
        called: list[Instance],
    ) -> None:
        if node.op in _WHILES:
            results = [called[1].returned()]
            expected: list[Value | None] = list(passed)
        else:
            results = [callee.returned() for callee in called]
            expected = results[0]
        for i, value in enumerate(expected):
            others = {result[i] for result in results}
            if others == {value}:
                instance.values[node.name, i] = value
                continue
            for other in filter(None, {value, *others}):
                self._use(instance, node, other, f"not what every branch of a {node.op} returns")


def called_functions(node: Any) -> list[str]:
    """The functions that a node names, in an order that only depends on its op."""
    if node.op in _IFS:
        attributes: Sequence[str] = ("then_branch", "else_branch")
    elif node.op in _WHILES:
        attributes = ("cond", "body")
    else:
        attributes = sorted(node.attr)
    names = []
    for key in attributes:
        value = node.attr[key]
        if value.HasField("func"):
            names.append(value.func.name)
        names += [function.name for function in value.list.func]
    return names


def name_functions(node: Any, old: list[str], new: list[str]) -> None:
    """Puts other functions in the place of those that `called_functions` gave."""
    if old == new:
        return
    if node.op in _IFS:
        keys: Sequence[str] = ("then_branch", "else_branch")
    elif node.op in _WHILES:
        keys = ("cond", "body")
    else:
        keys = sorted(node.attr)
    names = iter(new)
    for key in keys:
        value = node.attr[key]
        if value.HasField("func"):
            value.func.name = next(names)
        for function in value.list.func:
            function.name = next(names)


def first_passed(node: Any) -> int:
    """The first input that a call hands on."""
    return 1 if node.op in (*_IFS, *_CASES) else 0


def _why_no_lookup(instance: Instance, node: Any) -> str:
    body = instance.body
    inputs = body.data_inputs(node)
    if instance.compiled:
        return "looked up in a function that XLA compiles (jit_compile=True)"
    if attribute(node, "batch_dims").i:
        return "a gather with batch dimensions"
    if node.op == "GatherV2":
        axis = constant(body, inputs[2])
        if axis is None or axis != 0:
            return "a gather along another axis than the first"
    ids = attribute(node, "Tindices").type
    if ids not in _IDS:
        return f"looked up by {types_pb2.DataType.Name(ids)} ids"
    return ""
