"""Lookups by keys instead of by what a vocabulary makes of them: the nodes of one body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2

from tf_hps.saved_model.rewriting.body import Body
from tf_hps.saved_model.rewriting.fold_plan import HashTable
from tf_hps.saved_model.rewriting.objects import Objects
from tf_hps.saved_model.rewriting.vocabularies import FIND, FoldedLookup


def fold_lookups(
    body: Body, lookups: Iterable[FoldedLookup], outputs: Iterable[str] = ()
) -> set[str]:
    """Lets lookups take keys; returns the names of the nodes that nobody needs any more, which go.

    `outputs`: nodes that are read from outside.
    """
    between: set[str] = set()
    ids: dict[str, tuple[str, int]] = {}
    for lookup in lookups:
        between |= lookup.between
        if lookup.keys not in ids:
            (find,) = (body.nodes[n] for n in lookup.between if body.nodes[n].op == FIND)
            ids[lookup.keys] = _ids(body, find, lookup.keys)
        node = body.nodes[lookup.node]
        node.input[1], node.attr["Tindices"].type = ids[lookup.keys]
    gone: set[str] = set()
    between -= set(outputs)
    while True:
        read = {body.tensor(t)[0] for n in body if n.name not in gone for t in body.data_inputs(n)}
        read |= {body.tensor(text)[0] for text in body.returned().values()}
        unread = between - gone - read
        if not unread:
            break
        gone |= unread
    body.remove(gone)
    return gone


def _ids(body: Body, find: Any, keys: str) -> tuple[str, int]:
    """Keys as lookups take them, and their type: strings as they are, numbers as int64."""
    dtype = find.attr["Tin"].type
    if dtype in (types_pb2.DT_INT64, types_pb2.DT_STRING):
        return keys, dtype
    cast = body.add(f"{find.name}/keys", "Cast", [keys], find.device)
    cast.attr["SrcT"].type, cast.attr["DstT"].type = dtype, types_pb2.DT_INT64
    return body.text(cast.name, "y"), types_pb2.DT_INT64


def empty_hash_tables(
    body: Body,
    library: Any,
    objects: Objects,
    hash_tables: Mapping[str, HashTable],
    gone: set[tuple[str, str]],
    assets: Mapping[str, frozenset[str]],
) -> set[str]:
    """Leaves hash tables empty that nobody asks any more; their words go from the graph.

    Args:
        body: The main graph.
        library: Its functions.
        objects: Its objects.
        hash_tables: Who has to do with each.
        gone: The functions and nodes that went.
        assets: The nodes that carry each asset's path, by the first one, in the assets' order.

    Returns:
        The nodes that went.
    """
    asset_of = {node: asset for asset, chain in assets.items() for node in chain}
    removed: set[str] = set()
    for table in hash_tables.values():
        if table.is_used_otherwise or not table.finds <= gone:
            continue
        for name, function in table.fillers:
            filled = body.data_inputs(body.nodes[name])
            removed.add(name)
            captured = _empty_function(library, objects, function) if function else set()
            consumers = body.consumers()
            for node in {body.tensor(text)[0] for text in filled}:
                constant = asset_of.get(node, node)
                carriers = assets.get(constant, {constant})
                readers = {r.name for carrier in carriers for r in consumers.get(carrier, ())}
                if node not in asset_of and body.nodes[node].op != "Const":
                    continue
                if readers <= removed | carriers and _forget(
                    objects, constant, captured, list(assets)
                ):
                    removed |= carriers
    body.remove(removed)
    return removed


def _empty_function(library: Any, objects: Objects, function: str) -> set[int]:
    """Puts a function that does nothing in the place of an initializer; what that one captured."""

    @tf.function(input_signature=[])
    def initialize() -> tf.Tensor:
        return tf.constant(0)

    empty = initialize.get_concrete_function().function_def
    empty.signature.name = f"hps_empty_{function}"
    library.function.append(empty)
    return objects.replace_function(function, empty.signature.name)


def _forget(objects: Objects, constant: str, captured: set[int], assets: Sequence[str]) -> bool:
    """Lets go of the object of a constant; False where other functions have captured it."""
    for number in captured:
        node = objects.saved.nodes[number]
        kind = node.WhichOneof("kind")
        operation = node.constant.operation if kind == "constant" else ""
        if kind == "asset":
            operation = assets[node.asset.asset_file_def_index]
        if operation == constant:
            if objects.is_captured(number):
                return False
            objects.make_nothing(number)
    return True
