"""Saving and restoring without the variables that are gone: the nodes of one body."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from tf_hps.saved_model.rewriting.body import Body, constant, set_constant
from tf_hps.saved_model.rewriting.flow import Instance, called_functions

_NAMES, _SLICES = 1, 2
_FIRST_SAVED = 3  # The first tensor among the inputs of SaveV2.


def drop_from_saving(
    body: Body,
    instance: Instance,
    variables: Collection[str],
    keys: Collection[str],
    live: Collection[str],
) -> set[str]:
    """Takes variables out of what is saved and restored; returns the names of the nodes that went.

    Nodes that read such a variable go, with all that reads them: initializers, and steps of training that
    no signature reaches. Calls stay, what they call is edited by itself.

    Args:
        body: The instance's body.
        instance: What its tensors carry.
        variables: The variables' nodes in the main graph.
        keys: Their names in the checkpoint.
        live: Nodes that stay as they are.
    """
    gone: set[str] = set()
    outputs: set[str] = set()
    moved: dict[str, str] = {}
    for node in body:
        if node.op == "RestoreV2":
            _shorten_restore(body, node, keys, outputs, moved)
            if not node.attr["dtypes"].list.type:
                gone.add(node.name)
    consumers = body.consumers()

    def takes(node: Any) -> bool:
        return any(
            text in outputs
            or body.tensor(text)[0] in gone
            or ((value := instance.input_value(text)) is not None and value.variable in variables)
            for text in body.data_inputs(node)
        )

    left = [node for node in body if takes(node)]
    while left:
        node = left.pop()
        if node.name in gone or node.name in live or node.op == "SaveV2" or called_functions(node):
            continue
        gone.add(node.name)
        left += consumers.get(node.name, ())
    for node in body:
        if node.op == "SaveV2" and node.name not in live:
            _shorten_save(body, node, instance, variables, gone)
    body.rename_outputs(moved)
    body.remove(gone)
    return gone


def _shorten_restore(
    body: Body, node: Any, keys: Collection[str], outputs: set[str], moved: dict[str, str]
) -> None:
    names = constant(body, node.input[_NAMES])
    if names is None:
        return
    kept = [i for i, name in enumerate(names) if name.decode() not in keys]
    if len(kept) == len(names):
        return
    for i in range(len(names)):
        # A graph names the first output without its number too.
        texts = [body.text(node.name, "tensors", i)]
        if i == 0 and not body.is_function:
            texts.append(node.name)
        if i not in kept:
            outputs.update(texts)
        else:
            moved.update(dict.fromkeys(texts, body.text(node.name, "tensors", kept.index(i))))
    _keep(body, node, kept)


def _shorten_save(
    body: Body, node: Any, instance: Instance, variables: Collection[str], gone: Collection[str]
) -> None:
    tensors = body.data_inputs(node)[_FIRST_SAVED:]
    kept = []
    for i, text in enumerate(tensors):
        value = instance.input_value(text)
        is_moved = value is not None and value.variable in variables
        if not is_moved and body.tensor(text)[0] not in gone:
            kept.append(i)
    if len(kept) == len(tensors):
        return
    _keep(body, node, kept)
    control = [text for text in node.input if text.startswith("^")]
    node.input[:] = [*node.input[:_FIRST_SAVED], *(tensors[i] for i in kept), *control]
    if not kept:
        # The op takes one tensor at least.
        nothing = body.add(f"{node.name}/nothing", "Const", (), node.device)
        set_constant(nothing, np.float32(0))
        _set_strings(body, node, _NAMES, [b"tf_hps/nothing"])
        _set_strings(body, node, _SLICES, [b""])
        node.input[:] = [
            *node.input[:_FIRST_SAVED],
            body.text(nothing.name, "output"),
            *control,
        ]
        node.attr["dtypes"].list.type.append(nothing.attr["dtype"].type)


def _keep(body: Body, node: Any, kept: list[int]) -> None:
    for position in (_NAMES, _SLICES):
        strings = constant(body, node.input[position])
        _set_strings(body, node, position, [strings[i] for i in kept])
    types = node.attr["dtypes"].list.type
    types[:] = [types[i] for i in kept]
    if "_output_shapes" in node.attr:
        del node.attr["_output_shapes"]


def _set_strings(body: Body, node: Any, position: int, strings: list[bytes]) -> None:
    # A constant of its own: others may read the one that was there.
    name = ("tensor_names", "shape_and_slices")[position - _NAMES]
    strings_node = body.add(f"{node.name}/kept_{name}", "Const", (), node.device)
    set_constant(strings_node, np.array(strings, object))
    node.input[position] = body.text(strings_node.name, "output")
