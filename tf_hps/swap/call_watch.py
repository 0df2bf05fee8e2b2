"""How a model uses its Embedding layers, seen in one trace of the model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.export.export_utils import get_input_signature, make_tf_tensor_spec

_ROWS = frozenset(
    [
        "embeddings",
        "_embeddings",
        "embeddings_scale",
        "embeddings_zero",
        "lora_embeddings_a",
        "lora_embeddings_b",
    ]
)


@dataclasses.dataclass
class Usage:
    """What one layer was used for while the model was traced."""

    # Attributes with its rows that were read from outside of its own call.
    read_outside: set[str] = dataclasses.field(default_factory=set)
    # The dtypes to which variables were cast inside of its calls; None: they were not.
    autocast: set[str | None] = dataclasses.field(default_factory=set)


def watch_calls(model: Any, layers: Sequence[Any]) -> list[Usage] | None:
    """The usage of each of `layers`, or None for a model that cannot be traced as it would be exported."""
    usages = [Usage() for _ in layers]
    with contextlib.ExitStack() as stack:
        for layer, usage in zip(layers, usages, strict=True):
            stack.enter_context(_watched(layer, usage))
        traced = trace(model)
    return None if traced is None else usages


def trace(model: Any) -> Any:
    """The model as a ConcreteFunction, or None where it cannot be traced as it would be exported."""
    try:
        specs = [_spec(spec) for spec in get_input_signature(model)]
        return tf.function(model, autograph=False).get_concrete_function(*specs)
    except Exception:  # Whatever a user's call() raises: nothing was seen, nothing is lost.
        return None
    finally:
        model._clear_losses()  # Those of the trace are tensors of a graph that is gone.


def _spec(structure: Any) -> Any:
    return keras.tree.map_structure(make_tf_tensor_spec, structure)


@contextlib.contextmanager
def _watched(layer: Any, usage: Usage) -> Iterator[None]:
    cls = type(layer)
    inside: list[bool] = []

    class Watched(cls):  # type: ignore[misc, valid-type]
        def __getattribute__(self, name: str) -> Any:
            if name in _ROWS and not inside:
                usage.read_outside.add(name)
            return super().__getattribute__(name)

        def call(self, *args: Any, **kwargs: Any) -> Any:
            return self._inside(super().call, *args, **kwargs)

        def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
            return self._inside(super().quantized_call, *args, **kwargs)

        def _inside(self, call: Any, *args: Any, **kwargs: Any) -> Any:
            scope = backend.get_autocast_scope()
            usage.autocast.add(scope.dtype if scope is not None else None)
            inside.append(True)
            try:
                return call(*args, **kwargs)
            finally:
                inside.pop()

    # The object's class, and not a copy of the model: functions that hold the layer are seen too.
    object.__setattr__(layer, "__class__", Watched)
    try:
        yield
    finally:
        object.__setattr__(layer, "__class__", cls)
