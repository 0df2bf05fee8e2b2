"""Which vocabularies feed which Embeddings, seen in one trace of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from tf_hps.swap.call_watch import trace

# Ops that hand numbers on as they are, and ops that only ask how many there are.
_HAND_ON = ("Identity", "Reshape", "ExpandDims", "Squeeze", "Transpose")
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")


class VocabularyUse:
    """What was seen of vocabularies and Embeddings while a model was traced."""

    def __init__(self) -> None:
        # Tensors are kept: another one could get the id of one that is gone.
        self._made: dict[int, tuple[Any, Any]] = {}
        self._asked: list[tuple[Any, Any]] = []
        self._inside: dict[str, Any] = {}
        self._returned: set[int] = set()

    @contextlib.contextmanager
    def watch(
        self, lookups: Sequence[Any], embeddings: Sequence[Any], masks: Sequence[Any]
    ) -> Iterator[None]:
        """Watches these layers, and operations that make masks, being called."""
        with contextlib.ExitStack() as stack:
            for lookup in lookups:
                stack.enter_context(_replaced(lookup, call=self._lookup_called))
            for embedding in embeddings:
                called = {"call": self._embedding_called, "quantized_call": self._embedding_called}
                masked = self._mask_asked
                stack.enter_context(_replaced(embedding, **called, compute_mask=masked))
            for mask in masks:
                stack.enter_context(_replaced(mask, call=self._mask_asked))
            yield

    def returns(self, outputs: Sequence[Any]) -> None:
        self._returned = set(map(id, outputs))

    def lookups_of(self, embedding: Any) -> set[int | None]:
        """The vocabularies, by id, whose numbers the layer was called with; None: something else."""
        return {self._origin(ids) for layer, ids in self._asked if layer is embedding}

    def other_use(self, lookup: Any, consumers: Sequence[Any]) -> str:
        """What else than these Embeddings and masks gets the vocabulary's numbers; empty: nothing."""
        fed = set(map(id, consumers))
        left = [tensor for tensor, maker in self._made.values() if maker is lookup]
        while left:
            tensor = left.pop()
            if id(tensor) in self._returned:
                return "the model returns its numbers"
            for op in tensor.consumers():
                inside = self._inside.get(op.name)
                if inside is not None and id(inside) in fed:
                    continue
                if inside is not None:
                    return f"`{inside.name}` gets its numbers, and does not take keys"
                if op.type in _HAND_ON and op.inputs[0] is tensor:
                    left += op.outputs
                elif op.type not in _SHAPES:
                    return f"its numbers are used by {op.type} ({op.name})"
        return ""

    def was_called(self, lookup: Any) -> bool:
        return any(maker is lookup for _, maker in self._made.values())

    def _origin(self, tensor: Any) -> int | None:
        while id(tensor) not in self._made:
            if not isinstance(getattr(tensor, "op", None), tf.Operation):
                return None
            if tensor.op.type not in _HAND_ON:
                return None
            tensor = tensor.op.inputs[0]
        return id(self._made[id(tensor)][1])

    def _lookup_called(self, layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        numbers = _values(result)
        self._made[id(numbers)] = (numbers, layer)
        return result

    def _embedding_called(self, layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
        self._asked.append((layer, _values(args[0] if args else kwargs["inputs"])))
        return self._mask_asked(layer, call, args, kwargs)

    def _mask_asked(self, layer: Any, call: Any, args: Any, kwargs: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        result = call(*args, **kwargs)
        for op in graph.get_operations()[before:]:
            self._inside[op.name] = layer
        return result


def watch_vocabularies(
    model: Any, lookups: Sequence[Any], embeddings: Sequence[Any], masks: Sequence[Any]
) -> VocabularyUse | None:
    """The use of `lookups`, or None for a model that cannot be traced as it would be exported."""
    use = VocabularyUse()
    with use.watch(lookups, embeddings, masks):
        traced = trace(model)
    if traced is None:
        return None
    use.returns(traced.outputs)
    return use


def _values(numbers: Any) -> Any:
    if isinstance(numbers, tf.RaggedTensor):
        return numbers.flat_values
    return numbers.values if isinstance(numbers, tf.SparseTensor) else numbers


@contextlib.contextmanager
def _replaced(layer: Any, **methods: Any) -> Iterator[None]:
    """Lets methods go by way of others: `method(layer, call, args, kwargs)`."""
    cls = type(layer)

    def by_way_of(name: str, method: Any) -> Any:
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            return method(self, getattr(super(watched, self), name), args, kwargs)

        return called

    overridden = {name: by_way_of(name, method) for name, method in methods.items()}
    watched: Any = type(cls.__name__, (cls,), overridden)
    object.__setattr__(layer, "__class__", watched)
    try:
        yield
    finally:
        object.__setattr__(layer, "__class__", cls)
