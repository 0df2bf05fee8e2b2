"""Lookups in variables that are partitioned by rows: what tf.nn.embedding_lookup makes of a list."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_hps.saved_model.rewriting.body import Body, attribute
from tf_hps.saved_model.rewriting.flow import LOOKUPS, Instance

STRATEGIES = ("div", "mod")
_STITCHES = ("ParallelDynamicStitch", "DynamicStitch")
_Ids = npt.NDArray[np.int64]
# How the number of a part, and the row in it, come from an id. Of integers: no rounding anywhere.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda x: x,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Identity": lambda x: x,
    "Less": np.less,
    "Maximum": np.maximum,
    "Select": np.where,
    "SelectV2": np.where,
    "Sub": np.subtract,
}
_TRIED = 1 << 16  # Ids that tell one strategy from the other, at most.


@dataclasses.dataclass(frozen=True)
class Partitioned:
    """Rows of one table in several variables. Row j of part i of n has the id j * n + i ("mod"), or
    stands behind all rows of the parts before ("div")."""

    parts: tuple[str, ...]
    strategy: str


@dataclasses.dataclass(frozen=True)
class Stitch:
    """The node that puts the rows of all parts together, and what led to it."""

    node: str
    partitioned: Partitioned
    lookups: tuple[str, ...]
    ids: str  # The input that they all come from.


def find_stitches(instance: Instance, rows: Mapping[str, int]) -> list[Stitch]:
    """The lookups in partitioned variables of a body.

    Args:
        instance: The body, and what its tensors carry.
        rows: How many rows each variable has.
    """
    lookups = {use.node: use.variable for use in instance.uses if not use.why}
    found = []
    for node in instance.body:
        if node.op in _STITCHES:
            stitch = _stitch(instance.body, node, lookups, rows)
            if stitch is not None:
                found.append(stitch)
    return found


def _stitch(
    body: Body, node: Any, lookups: Mapping[str, str], rows: Mapping[str, int]
) -> Stitch | None:
    inputs = body.data_inputs(node)
    count = attribute(node, "N").i
    consumers = body.consumers()
    gathers = []
    for text in inputs[count:]:
        gather = body.nodes.get(body.tensor(text)[0])
        while gather is not None and gather.op == "Identity":
            gather = body.nodes.get(body.tensor(gather.input[0])[0])
        if gather is None or gather.op not in LOOKUPS or gather.name not in lookups:
            return None
        gathers.append(gather)
        if len(consumers[gather.name]) > 1:
            return None
    ids = [body.tensor(body.data_inputs(gather)[1]) for gather in gathers]
    positions = [body.tensor(text) for text in inputs[:count]]
    split, placed = (_same_partition(body, tensors) for tensors in (ids, positions))
    if split is None or placed is None:
        return None
    local, assigned = body.data_inputs(split)
    if body.data_inputs(placed)[1] != assigned:
        return None
    if body.nodes[body.tensor(body.data_inputs(placed)[0])[0]].op != "Range":
        return None
    source = _source(body, (local, assigned))
    parts = tuple(lookups[gather.name] for gather in gathers)
    sizes = [rows[part] for part in parts]
    if source is None:
        return None
    for strategy in STRATEGIES:
        if _is_strategy(body, source, local, assigned, sizes, strategy):
            partitioned = Partitioned(parts, strategy)
            return Stitch(node.name, partitioned, tuple(g.name for g in gathers), source)
    return None


def _same_partition(body: Body, tensors: Sequence[tuple[str, int]]) -> Any:
    """The DynamicPartition that these are all outputs of, in their order."""
    producers = {name for name, _ in tensors}
    node = body.nodes.get(next(iter(producers))) if len(producers) == 1 else None
    if node is None or node.op != "DynamicPartition":
        return None
    in_order = [index for _, index in tensors] == list(range(attribute(node, "num_partitions").i))
    return node if in_order else None


def _source(body: Body, texts: Sequence[str]) -> str | None:
    """The one input that all of these are computed from."""
    sources = set()
    left = list(texts)
    while left:
        text = left.pop()
        node = body.nodes.get(body.tensor(text)[0])
        if node is not None and node.op in _ARITHMETIC:
            left += body.data_inputs(node)
        elif node is None or node.op != "Const":
            sources.add(text)
    return sources.pop() if len(sources) == 1 else None


def _is_strategy(
    body: Body, source: str, local: str, assigned: str, sizes: Sequence[int], strategy: str
) -> bool:
    total = sum(sizes)
    ids = np.unique(np.linspace(0, total - 1, min(total, _TRIED)).astype(np.int64))
    bounds = np.cumsum([0, *sizes])
    ids = np.unique(np.concatenate([ids, bounds[:-1], bounds[1:] - 1]))
    ids = ids[(ids >= 0) & (ids < total)]
    if strategy == "mod":
        parts, within = ids % len(sizes), ids // len(sizes)
        if list(sizes) != [math.ceil((total - i) / len(sizes)) for i in range(len(sizes))]:
            return False
    else:
        parts = np.searchsorted(bounds, ids, side="right") - 1
        within = ids - bounds[parts]
    computed = [_compute(body, text, source, ids) for text in (assigned, local)]
    return all(
        np.array_equal(np.broadcast_to(got, ids.shape), expected)
        for got, expected in zip(computed, (parts, within), strict=True)
    )


def _compute(body: Body, text: str, source: str, ids: _Ids) -> Any:
    if text == source:
        return ids
    node = body.nodes[body.tensor(text)[0]]
    if node.op == "Const":
        return tf.make_ndarray(node.attr["value"].tensor)
    inputs = [_compute(body, other, source, ids) for other in body.data_inputs(node)]
    return _ARITHMETIC[node.op](*inputs)
