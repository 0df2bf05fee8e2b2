"""The graph of a functional model, called again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keras import tree
from keras.src.ops.numpy import NotEqual

# New inputs like those of a model; and a model like a given one around new inputs and outputs.
InputsLike = Callable[[Any], Any]
ModelLike = Callable[[Any, Any, Any], Any]


class Rebuilt:
    """The tensors of a model's graph, and what stands for them in a new one."""

    def __init__(self, model: Any, inputs_like: InputsLike):
        self._model = model
        self._inputs = inputs_like(model.input)
        flat = tree.flatten(self._inputs)
        self.tensors = {id(old): new for old, new in zip(model.inputs, flat, strict=True)}

    def __getitem__(self, tensor: Any) -> Any:
        return self.tensors[id(tensor)]

    def __setitem__(self, tensor: Any, new: Any) -> None:
        self.tensors[id(tensor)] = new

    def call(self, nodes: Iterable[Any]) -> None:
        for node in nodes:
            args, kwargs = node.arguments.fill_in(self.tensors)
            outputs = tree.flatten(node.operation(*args, **kwargs))
            for before, after in zip(node.output_tensors, outputs, strict=True):
                self[before] = after

    def model(self, model_like: ModelLike) -> Any:
        outputs = tree.map_structure(self.__getitem__, self._model._outputs_struct)
        return model_like(self._model, self._inputs, outputs)


def graph_nodes(model: Any) -> list[Any]:
    """The calls of the model's graph, each behind those it depends on."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
    return [node for node in nodes if node.operation and not node.is_input]


def is_mask_of(node: Any, kind: type) -> bool:
    """Whether a call is `keras.ops.not_equal(ids, 0)` on what a layer of this class made.

    Keras puts the mask of an Embedding with `mask_zero` into a functional model as such a call.
    """
    return (
        isinstance(node.operation, NotEqual)
        and len(node.input_tensors) == 1
        and isinstance(node.input_tensors[0]._keras_history.operation, kind)
        and node.arguments.args[0] is node.input_tensors[0]
        and node.arguments.args[1:] == (0,)
    )
