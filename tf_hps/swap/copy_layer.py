"""A second object of a subclassed layer or model, around other sublayers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import tree

from tf_hps.swap.attributes import map_layers, own_attributes
from tf_hps.swap.functions import is_function, layers_held

Rebuild = Callable[[Any], Any]


class CannotCopy(ValueError):
    """A layer that has to be changed in place, because something refers to this very object."""


def check_copyable(layer: keras.Layer, holds_target: Callable[[Any], bool]) -> None:
    """Raises CannotCopy for a layer of which `copy_layer` makes no second one that works."""
    _empty_like(layer)
    for name, value in own_attributes(layer):
        items = tree.flatten(value) if isinstance(value, (list, dict, tuple)) else [value]
        for item in items:
            if not is_function(item) or getattr(item, "__self__", None) is layer:
                continue  # Methods of the layer itself are bound to the copy.
            for held in layers_held(item):
                if holds_target(held):
                    raise CannotCopy(
                        f"{type(layer).__name__} `{layer.name}` cannot be copied: its attribute "
                        f"`{name}` is a function that holds `{held.name}`"
                    )


def copy_layer(layer: keras.Layer, rebuild: Rebuild) -> keras.Layer:
    """A layer of the same class with the same attributes and variables, and rebuilt sublayers.

    What the class did in `__init__` and `build` is not done again: its configuration may be unknown.
    """
    copy = _empty_like(layer)
    # The order of the stores is the order of the weights in a file: attributes would be tracked in
    # the order of their names' first assignment, and items appended later came later.
    tracker = copy._tracker
    for store, (_, values) in tracker.config.items():
        values[:] = [
            rebuild(value) if store == "layers" else value
            for value in layer._tracker.config[store][1]
        ]
        tracker.stored_ids[store] = {id(value) for value in values}
    for name, value in own_attributes(layer):
        keras.layers.Layer.__setattr__(copy, name, map_layers(value, rebuild, layer, copy))
    if layer._tracker.locked:
        tracker.lock(layer._tracker._lock_violation_msg)
    return copy


def replace_in_place(layer: keras.Layer, rebuild: Rebuild) -> keras.Layer:
    """Puts rebuilt sublayers where the layer holds the old ones."""
    tracker = layer._tracker
    was_locked = tracker.locked
    tracker.unlock()
    try:
        for before in list(tracker.config["layers"][1]):
            after = rebuild(before)
            if after is not before:
                tracker.replace_tracked_value("layers", before, after)
        for name, value in own_attributes(layer):
            mapped = map_layers(value, rebuild)
            if mapped is not value:
                keras.layers.Layer.__setattr__(layer, name, mapped)
    finally:
        if was_locked:
            tracker.lock()
    return layer


def _empty_like(layer: keras.Layer) -> keras.Layer:
    cls: Any = type(layer)
    base = keras.Model if isinstance(layer, keras.Model) else keras.layers.Layer
    try:
        empty = cls.__new__(cls)
        base.__init__(empty, name=layer.name)
    except Exception as error:  # Whatever a user's __new__ raises.
        raise CannotCopy(f"{cls.__name__} `{layer.name}` cannot be copied: {error}") from error
    return empty
