"""The variables of a graph, and where the checkpoint has their values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from tf_hps.saved_model.rewriting.body import Body, attribute, constant
from tf_hps.saved_model.rewriting.flow import HANDLES, Flow
from tf_hps.store.checkpoint_bundle import BundleVariable, CheckpointBundle

_OBJECT_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of the main graph."""

    node: str
    name: str
    shape: tuple[int, ...]
    dtype: tf.DType
    key: str  # In the checkpoint; empty where nothing restores it.
    slice: str  # Which part of it, as RestoreV2 says that; empty for all.
    checksum: tuple[int, int] | None  # Of its values in the checkpoint, with their size.

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.size if self.dtype.size else 0


def find_variables(flow: Flow, checkpoint: CheckpointBundle | None) -> dict[str, Variable]:
    """The variables of the main graph by the names of their nodes."""
    restored = _restored(flow)
    entries = {v.name: v for v in checkpoint.variables()} if checkpoint else {}
    found = {}
    for node in flow.graph.body:
        if node.op in HANDLES:
            key, part = restored.get(node.name, ("", ""))
            found[node.name] = _variable(node, key, part, entries.get(key))
    return found


def _variable(node: Any, key: str, part: str, entry: BundleVariable | None) -> Variable:
    shape = attribute(node, "shape").shape
    dims = tuple(dim.size for dim in shape.dim)
    if entry is not None and not part and (shape.unknown_rank or -1 in dims):
        dims = entry.shape
    name = attribute(node, "shared_name").s.decode() or node.name
    return Variable(
        node=node.name,
        name=name,
        shape=dims,
        dtype=tf.as_dtype(attribute(node, "dtype").type),
        key=key if entry is not None else "",
        slice=part,
        checksum=None if entry is None or entry.slices else (entry.checksum, entry.size),
    )


def _restored(flow: Flow) -> dict[str, tuple[str, str]]:
    """For each variable that a restore assigns: its name and part in the checkpoint."""
    found = {}
    for instance in (flow.graph, *flow.instances()):
        body = instance.body
        for node in body:
            if node.op not in ("AssignVariableOp", "Assign"):
                continue
            target, value, *_ = body.data_inputs(node)
            variable = instance.input_value(target)
            source = _restore(body, value)
            if variable is not None and source is not None:
                found[variable.variable] = source
    return found


def _restore(body: Body, text: str) -> tuple[str, str] | None:
    name, index = body.tensor(text)
    node = body.nodes.get(name)
    while node is not None and node.op == "Identity":
        name, index = body.tensor(node.input[0])
        node = body.nodes.get(name)
    if node is None or node.op != "RestoreV2":
        return None
    names = constant(body, node.input[1])
    slices = constant(body, node.input[2])
    return names[index].decode(), slices[index].decode()


def readable(key: str) -> str:
    """A checkpoint's key as a user knows it."""
    return key.removesuffix(_OBJECT_SUFFIX)
