"""Layers that a plain function holds, where no attribute shows them."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tf_hps.swap.attributes import own_attributes


def layers_held(value: Any, depth: int = 3) -> Iterator[keras.Layer]:
    """Layers that the callable `value` holds: closures, globals, bound methods, partials.

    A swap puts other objects into attributes; it cannot reach into a function.
    """
    if isinstance(value, keras.Layer):
        yield value
        return
    if depth == 0:
        return
    for part in _parts(value):
        yield from layers_held(part, depth - 1)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, types.MethodType):
        yield value.__self__
    elif isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # The cell is empty: its variable was not assigned yet.
                continue
        yield from value.__defaults__ or ()
        names = value.__code__.co_names
        yield from (value.__globals__[name] for name in names if name in value.__globals__)
    elif isinstance(value, functools.partial):
        yield value.func
        yield from value.args
        yield from value.keywords.values()
    elif isinstance(value, tf.types.experimental.PolymorphicFunction):
        yield value.python_function
    elif isinstance(value, (list, tuple, set)):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def function_that_holds(layer: Any, other: Any) -> str:
    """Says which attribute of `other` is a function that holds `layer`; empty: none."""
    for name, value in own_attributes(other):
        if is_function(value) and any(held is layer for held in layers_held(value)):
            return f"the function `{name}` of `{other.name}` holds it"
    return ""


def is_function(value: Any) -> bool:
    return isinstance(
        value,
        (
            types.MethodType,
            types.FunctionType,
            functools.partial,
            tf.types.experimental.PolymorphicFunction,
        ),
    )
