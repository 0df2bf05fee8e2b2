"""The same model around other layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import Functional

from tf_hps.layers import HpsKeys
from tf_hps.swap.attributes import TRAINING, map_layers
from tf_hps.swap.copy_layer import check_copyable, copy_layer, replace_in_place
from tf_hps.swap.direct_keys import without_keys, without_keys_in_line

Regroup = Callable[[Any, Any, Any], Any]


class LayerReplacer:
    """Rebuilds a model with new layers in the place of some, the targets.

    Layers that hold no target are the same objects in both models: their weights are shared, not
    copied. Layers that do are rebuilt: functional and Sequential models with `clone_model`, others as
    a second object with the same attributes, or themselves when `in_place`. A layer that is
    used in many places is rebuilt once. `regroup`, of tf_hps.swap.grouping, then changes how functional
    models call their lookups.
    """

    def __init__(
        self,
        targets: Iterable[keras.Layer],
        replace: Callable[[Any], keras.Layer],
        in_place: bool = False,
        regroup: Regroup | None = None,
    ):
        self._targets = {id(target): target for target in targets}
        self._replace = replace
        self._in_place = in_place
        self._regroup = regroup
        self._rebuilt: dict[int, tuple[Any, Any]] = {}

    def holds_target(self, layer: Any) -> bool:
        return any(id(held) in self._targets for held in layer._flatten_layers())

    def check(self, model: Any) -> None:
        """Raises CannotCopy where rebuilding `model` would."""
        for layer in model._flatten_layers():
            if id(layer) not in self._targets and self._is_copied(layer):
                check_copyable(layer, self.holds_target)

    def __call__(self, layer: Any) -> Any:
        if id(layer) not in self._rebuilt:
            # The layer stays beside its successor, so that no other object gets its id.
            self._rebuilt[id(layer)] = (layer, self._rebuild(layer))
        return self._rebuilt[id(layer)][1]

    def _rebuild(self, layer: Any) -> Any:
        if id(layer) in self._targets:
            return self._replace(layer)
        # Operations of the graph, like keras.ops.add, are no layers.
        if not isinstance(layer, keras.Layer) or not self.holds_target(layer):
            return layer
        if isinstance(layer, (keras.Sequential, Functional)):
            return self._clone(layer)
        if self._is_copied(layer):
            return copy_layer(layer, self)
        return replace_in_place(layer, self)

    def _is_copied(self, layer: Any) -> bool:
        cloned = isinstance(layer, (keras.Sequential, Functional))
        return not self._in_place and not cloned and self.holds_target(layer)

    def _clone(self, model: Any) -> Any:
        with _uncompiled(model):
            if isinstance(model, keras.Sequential):
                clone = keras.models.clone_model(model, clone_function=self)
                if any(isinstance(layer, HpsKeys) for layer in clone.layers):
                    clone = without_keys_in_line(clone)
            else:
                clone = keras.models.clone_model(
                    model, input_tensors=_inputs_like(model.input), clone_function=self
                )
                if any(isinstance(layer, HpsKeys) for layer in clone.layers):
                    clone = without_keys(clone, _inputs_like, _model_like)
                if self._regroup is not None:
                    clone = self._regroup(clone, _inputs_like, _model_like)
        clone._dtype_policy = model._dtype_policy  # It decides in which dtype its layers read.
        if not model.trainable:
            clone.trainable = False
        self._adopt(clone, model)
        return clone

    def _adopt(self, clone: Any, model: Any) -> None:
        """Gives `clone` the class and the attributes of a subclass that clone_model does not know."""
        for name, value in vars(model).items():
            if name not in vars(clone) and name not in TRAINING:
                setattr(clone, name, map_layers(value, self, model, clone))
        if type(clone) is not type(model):
            clone.__class__ = type(model)


@contextlib.contextmanager
def _uncompiled(model: Any) -> Iterator[None]:
    # clone_model would compile the clone, and fail for losses that are not registered.
    compiled, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = compiled


def _model_like(model: Any, inputs: Any, outputs: Any) -> Any:
    # clone_model made a model of this class with these arguments before.
    return type(model)(inputs, outputs, name=model.name)


def _inputs_like(inputs: Any) -> Any:
    # clone_model's own inputs are dense and required.
    def input_like(tensor: Any) -> Any:
        return keras.Input(
            batch_shape=tensor.shape,
            dtype=tensor.dtype,
            sparse=tensor.sparse,
            ragged=getattr(tensor, "ragged", False),
            name=tensor.name,
            optional=getattr(tensor._keras_history.operation, "optional", False),
        )

    return tree.map_structure(input_like, inputs)


def compile_like(served: Any, model: Any) -> str | None:
    """Compiles `served` as `model` is, with an optimizer of its own; why it cannot, if it cannot."""
    if not getattr(model, "compiled", False):
        return None
    try:
        config = model.get_compile_config()
        if served is model:
            served.train_function = served.test_function = served.predict_function = None
        served.compile_from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        return f"compile the model again: its compile() could not be repeated ({error})"
    return None if served.compiled else "compile the model again: its compile() is its own"
