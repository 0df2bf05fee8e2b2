"""Layers in the attributes of other layers: finding, mapping, replacing."""

from __future__ import annotations

import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import keras

# Attributes by which Keras and TensorFlow keep the books of one object. A copy keeps its own.
_BOOKS = frozenset(
    """
    _tracker _trainable_variables _non_trainable_variables _layers _metrics _seed_generators _tracked
    build quantize _inbound_nodes _outbound_nodes _losses _loss_ids _losses_override _call_signature
    """.split()
)
# Attributes by which compile and fit keep the state of one model's training.
TRAINING = frozenset(
    """
    compiled optimizer loss train_function test_function predict_function history stop_training
    _compile_config _compile_loss _compile_metrics _compiled_trainable_state _loss_tracker
    _eval_epoch_iterator _jit_compile _run_eagerly
    """.split()
)


def own_attributes(layer: keras.Layer) -> Iterator[tuple[str, Any]]:
    """The attributes that the layer's class gave it, and what Keras knows of its shape and type."""
    for name, value in list(vars(layer).items()):
        if name not in _BOOKS and name not in TRAINING and not name.startswith("_self_"):
            yield name, value


def map_layers(value: Any, rebuild: Callable[[Any], Any], old: Any = None, new: Any = None) -> Any:
    """`value` with rebuild(layer) in each layer's place; `value` itself where nothing changed.

    Methods bound to `old` are bound to `new`.
    """
    if isinstance(value, keras.Layer):
        return rebuild(value)
    if isinstance(value, types.MethodType) and value.__self__ is old:
        return types.MethodType(value.__func__, new)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [map_layers(item, rebuild, old, new) for item in value]
        if all(item is before for item, before in zip(items, value, strict=True)):
            return value
        if isinstance(value, list):  # Keras tracks it again, for its new owner.
            return items
        if hasattr(value, "_fields"):  # A named tuple, which TensorFlow may have wrapped.
            return type(getattr(value, "__wrapped__", value))(*items)
        return next(t for t in (tuple, frozenset, set) if isinstance(value, t))(items)
    if isinstance(value, dict):
        mapped = {key: map_layers(item, rebuild, old, new) for key, item in value.items()}
        if all(mapped[key] is value[key] for key in mapped):
            return value
        return OrderedDict(mapped) if isinstance(value, OrderedDict) else mapped
    return value
