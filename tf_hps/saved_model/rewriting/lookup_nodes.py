"""Lookups on variables become lookups in tables: the nodes of one body."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from tf_hps.saved_model.rewriting.body import Body, attribute, set_constant
from tf_hps.saved_model.rewriting.flow import (
    HANDLES,
    LOOKUPS,
    SHAPES,
    Instance,
    Value,
    called_functions,
    first_passed,
    name_functions,
)
from tf_hps.saved_model.rewriting.partitions import Stitch
from tf_hps.saved_model.rewriting.plan import PlannedTable

# Attributes that hold the type of each thing that a call takes and gives, and where the list begins.
_INPUT_TYPES = {
    "PartitionedCall": "Tin",
    "StatefulPartitionedCall": "Tin",
    "If": "Tin",
    "StatelessIf": "Tin",
    "Case": "Tin",
    "StatelessCase": "Tin",
    "While": "T",
    "StatelessWhile": "T",
}
_SHAPES = ("output_shapes", "_output_shapes")


def replace_lookups(
    body: Body,
    instance: Instance,
    tables: Mapping[str, PlannedTable],
    name_of: Callable[[Instance], str],
    names: Collection[str] | None = None,
) -> None:
    """Rewrites the nodes of a body in place; nodes keep their names.

    What carried a variable's handle or its rows carries the table's handle then: reads, casts and the
    like hand it on. Casts of all rows become casts of those that were looked up.

    Args:
        body: A copy of the instance's body, or itself.
        instance: What its tensors carry.
        tables: The tables by the nodes of their variables.
        name_of: The function that stands for an instance.
        names: The nodes that are rewritten. Defaults to all.
    """
    renamed: dict[str, str] = {}
    for node in body:
        if names is not None and node.name not in names:
            continue
        if called_functions(node):
            _replace_call(body, instance, node, tables, name_of)
            continue
        data = body.data_inputs(node)
        value = instance.input_value(data[0]) if data else None
        table = tables.get(value.variable) if value is not None else None
        if value is None or table is None:
            continue
        if node.op in LOOKUPS:
            _replace_lookup(body, node, value, table)
            if node.op != "Cast":
                renamed[body.text(node.name, "output")] = body.text(node.name, "rows")
            else:
                renamed[body.text(node.name, "output")] = body.text(node.name, "y")
        elif node.op in SHAPES:
            dtype = attribute(node, "out_type").type or types_pb2.DT_INT32
            set_constant(node, np.array(table.variable.shape, tf.as_dtype(dtype).as_numpy_dtype))
        elif node.op not in (*HANDLES, "HpsLookup"):
            output = {"ReadVariableOp": "value", "Cast": "y"}.get(node.op, "output")
            _hand_on(node)
            renamed[body.text(node.name, output)] = body.text(node.name, "output")
    body.rename_outputs({old: new for old, new in renamed.items() if old != new})


def replace_stitches(
    body: Body, stitches: Iterable[Stitch], tables: Mapping[str, PlannedTable]
) -> None:
    """Lookups in all parts of a variable become one, where their rows were put together."""
    for stitch in stitches:
        table = tables.get(stitch.partitioned.parts[0])
        if table is None or not table.parts:
            continue
        node = body.nodes[stitch.node]
        lookups = [body.nodes[name] for name in stitch.lookups]
        handle = body.data_inputs(lookups[0])[0]
        control = [t for n in (node, *lookups) for t in n.input if t.startswith("^")]
        ids_type = lookups[0].attr["Tindices"].type
        gone = set(stitch.lookups)
        for text in body.data_inputs(node):
            other = body.nodes.get(body.tensor(text)[0])
            while other is not None and other.op == "Identity" and other.name not in gone:
                gone.add(other.name)
                other = body.nodes.get(body.tensor(other.input[0])[0])
        node.op = "HpsLookup"
        node.input[:] = [handle, stitch.ids, *dict.fromkeys(control)]
        node.attr.clear()
        node.attr["Tids"].type = ids_type
        node.attr["embedding_dim"].i = table.embedding_dim
        node.attr["dtype"].type = table.variable.dtype.as_datatype_enum
        body.remove(gone)
        body.rename_outputs({body.text(node.name, "merged"): body.text(node.name, "rows")})


def _hand_on(node: Any) -> None:
    """Makes a node hand on a handle."""
    is_v1 = {"Enter", "RefEnter", "Switch"}
    if node.op in is_v1:
        node.op = node.op.removeprefix("Ref")
        kept = {k: node.attr[k] for k in ("frame_name", "is_constant") if k in node.attr}
        kept |= {k: node.attr[k] for k in ("parallel_iterations",) if k in node.attr}
    else:
        node.op = "Identity"
        kept = {}
    kept = {key: type(value).FromString(value.SerializeToString()) for key, value in kept.items()}
    node.attr.clear()
    for key, value in kept.items():
        node.attr[key].CopyFrom(value)
    node.attr["T"].type = types_pb2.DT_RESOURCE


def _replace_lookup(body: Body, node: Any, value: Value, table: PlannedTable) -> None:
    handle, ids = body.data_inputs(node)[:2]
    control = [text for text in node.input if text.startswith("^")]
    ids_type = node.attr["Tindices"].type
    if ids_type == types_pb2.DT_INT16:
        cast = body.add(f"{node.name}/ids", "Cast", [ids], node.device)
        cast.attr["SrcT"].type, cast.attr["DstT"].type = ids_type, types_pb2.DT_INT32
        ids, ids_type = body.text(cast.name, "y"), types_pb2.DT_INT32
    rows_type = table.variable.dtype.as_datatype_enum
    shapes = attribute(node, "_output_shapes")
    lookup = body.add(f"{node.name}/rows", "HpsLookup", (), node.device) if value.casts else node
    lookup.op = "HpsLookup"
    lookup.input[:] = [handle, ids, *control]
    lookup.attr.clear()
    lookup.attr["Tids"].type = ids_type
    lookup.attr["embedding_dim"].i = table.embedding_dim
    lookup.attr["dtype"].type = rows_type
    if shapes.list.shape:
        lookup.attr["_output_shapes"].CopyFrom(shapes)
    rows, before = body.text(lookup.name, "rows"), rows_type
    for number, cast_type in enumerate(value.casts):
        is_last = number == len(value.casts) - 1
        cast = node if is_last else body.add(f"{node.name}/cast", "Cast", (), node.device)
        cast.op = "Cast"
        cast.input[:] = [rows]
        cast.attr.clear()
        cast.attr["SrcT"].type, cast.attr["DstT"].type = before, cast_type
        rows, before = body.text(cast.name, "y"), cast_type


def _replace_call(
    body: Body,
    instance: Instance,
    node: Any,
    tables: Mapping[str, PlannedTable],
    name_of: Callable[[Instance], str],
) -> None:
    old = called_functions(node)
    callees = [instance.calls.get((node.name, number)) for number in range(len(old))]
    new = [
        name if callee is None else name_of(callee)
        for name, callee in zip(old, callees, strict=True)
    ]
    name_functions(node, old, new)
    if node.op not in _INPUT_TYPES:
        return
    passed = [instance.input_value(text) for text in body.data_inputs(node)][first_passed(node) :]
    types = node.attr[_INPUT_TYPES[node.op]].list
    for i, value in enumerate(passed):
        if value is not None and value.rows and value.variable in tables:
            types.type[i] = types_pb2.DT_RESOURCE
    results = node.attr["Tout"].list if "Tout" in node.attr else types
    for i in range(len(results.type)):
        value = instance.values.get((node.name, i))
        if value is None or not value.rows or value.variable not in tables:
            continue
        results.type[i] = types_pb2.DT_RESOURCE
        for key in _SHAPES:
            if key in node.attr and i < len(node.attr[key].list.shape):
                node.attr[key].list.shape[i].Clear()
