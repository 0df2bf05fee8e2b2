"""Functions of a graph for the variables that they are called with: a table's handle is not a variable's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorflow.core.framework import types_pb2

from tf_hps.saved_model.rewriting.body import Body
from tf_hps.saved_model.rewriting.flow import Flow, Instance, Value
from tf_hps.saved_model.rewriting.lookup_nodes import replace_lookups, replace_stitches
from tf_hps.saved_model.rewriting.plan import PlannedTable, Stitches

# What a function's new body depends on.
_Kinds = tuple[tuple[Any, ...] | None, ...]


class FunctionCopies:
    """Rewrites functions, each once for every kind of table that it is called with.

    A function that is always called alike keeps its name; so do those that objects offer.

    Args:
        flow: What variables the functions are called with.
        first: The instances that keep their names.
        left: The instances that are not rewritten.
        tables: The tables by the nodes of their variables.
        stitches: Lookups in partitioned variables.
    """

    def __init__(
        self,
        flow: Flow,
        first: Iterable[Instance],
        left: Iterable[Instance],
        tables: Mapping[str, PlannedTable],
        stitches: Stitches,
    ) -> None:
        self._tables = tables
        self._stitches = stitches
        self._left = set(map(id, left))
        self._names: dict[tuple[str, _Kinds], str] = {}
        self._instances: dict[tuple[str, _Kinds], Instance] = {}
        self._taken: set[str] = set()
        instances = [i for i in flow.instances() if id(i) not in self._left]
        plain = [i for i in instances if not any(self._kinds(i))]
        for instance in (*first, *plain, *instances):
            self._name(instance)

    def name(self, instance: Instance) -> str:
        """The function that stands for an instance."""
        if id(instance) in self._left:
            return instance.body.name
        return self._names[instance.body.name, self._kinds(instance)]

    def rewrite(self, library: Any) -> None:
        """Puts the rewritten functions into a library in the place of those that there were."""
        written = []
        names = {f.signature.name for f in library.function}
        replaced = {name for name, _ in self._names} & names
        for instance in self._instances.values():
            function = type(instance.body.proto)()
            function.CopyFrom(instance.body.proto)
            function.signature.name = self.name(instance)
            copy = Body(function)
            self._retype(function, instance)
            replace_stitches(copy, self._stitches.get(id(instance), ()), self._tables)
            replace_lookups(copy, instance, self._tables, self.name)
            written.append(function)
        kept = [f for f in library.function if f.signature.name not in replaced]
        kept = [type(f).FromString(f.SerializeToString()) for f in kept]
        del library.function[:]
        library.function.extend([*kept, *written])

    def _name(self, instance: Instance) -> None:
        key = instance.body.name, self._kinds(instance)
        if key in self._names:
            return
        name, number = instance.body.name, 0
        while name in self._taken:
            number += 1
            name = f"{instance.body.name}_hps_{number}"
        self._taken.add(name)
        self._names[key] = name
        self._instances[key] = instance

    def _kinds(self, instance: Instance) -> _Kinds:
        return tuple(self._kind(value) for value in instance.bindings)

    def _kind(self, value: Value | None) -> tuple[Any, ...] | None:
        table = None if value is None else self._tables.get(value.variable)
        if value is None or table is None:
            return None
        kind = (value.rows, value.casts, table.row_format, table.variable.shape)
        part = table.nodes.index(value.variable) if table.parts else 0
        return (*kind, len(table.parts), part, table.strategy)

    def _retype(self, function: Any, instance: Instance) -> None:
        """Where rows came in or went out, the table's handle does."""
        signature = function.signature
        for i, value in enumerate(instance.bindings):
            if value is not None and value.rows and value.variable in self._tables:
                signature.input_arg[i].type = types_pb2.DT_RESOURCE
                function.arg_attr.pop(i, None)
                if "_input_shapes" in function.attr:
                    function.attr["_input_shapes"].list.shape[i].Clear()
        for i, value in enumerate(instance.returned()):
            if value is not None and value.rows and value.variable in self._tables:
                signature.output_arg[i].type = types_pb2.DT_RESOURCE
