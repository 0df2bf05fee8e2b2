"""Requests made up for the signatures of a SavedModel."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_hps.saved_model.rewriting.body import Body, constant
from tf_hps.saved_model.rewriting.run_signatures import Request, tensors

_BATCH = 8  # Rows of a request, where the signature leaves it open.
_LENGTH = 5  # Of its other open dimensions.
_WORDS = 200  # Taken of each vocabulary.


@dataclasses.dataclass(frozen=True)
class MadeRequest:
    """A request, and what it tries; `is_outside`: ids that may be outside of a vocabulary."""

    what: str
    request: Request
    is_outside: bool = False


class RequestMaker:
    """Makes requests whose ids are inside of every vocabulary, and some whose ids are not.

    Args:
        meta_graph: Whose signatures are asked.
        sizes: The rows of everything that is looked up.
        folder: The SavedModel's, for the words of its vocabularies.
    """

    def __init__(self, meta_graph: Any, sizes: Sequence[int], folder: str) -> None:
        self._signatures = meta_graph.signature_def
        self._ids = min(sizes, default=1)
        self._outside = max(sizes, default=1)
        self._words = _words(folder)
        self._graph = meta_graph.graph_def
        self._parsed = self._find_parser()

    def requests(self) -> list[MadeRequest]:
        made = []
        for name, signature in sorted(self._signatures.items()):
            if not signature.inputs or name.startswith("__saved_model"):
                continue
            for seed in (1, 2):
                random = np.random.default_rng(seed)
                request = (name, self._inputs(signature, random, 0, self._ids))
                made.append(MadeRequest(f"{name}, ids below {self._ids}", request))
            if self._has_ids(signature):
                for what, id_ in (("-1", -1), (f"{self._outside}", self._outside)):
                    random = np.random.default_rng(3)
                    request = (name, self._inputs(signature, random, id_, id_ + 1))
                    made.append(MadeRequest(f"{name}, all ids {what}", request, True))
        return made

    def _has_ids(self, signature: Any) -> bool:
        return any(tf.as_dtype(i.dtype).is_integer for i in signature.inputs.values())

    def _inputs(
        self, signature: Any, random: np.random.Generator, low: int, high: int
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for key, info in sorted(signature.inputs.items()):
            names = tensors(info)
            dtype = tf.as_dtype(info.dtype)
            shape = _shape(info.tensor_shape)
            if info.WhichOneof("encoding") == "coo_sparse":
                rank = max(1, len(shape))
                indices = np.zeros((_BATCH, rank), np.int64)
                indices[:, 0] = np.arange(_BATCH)
                values = self._values(dtype, (_BATCH,), random, low, high)
                dense_shape = np.array([_BATCH, *[_LENGTH] * (rank - 1)], np.int64)
                inputs |= dict(zip(names, (values, indices, dense_shape), strict=True))
            elif len(names) == 1:
                inputs[names[0]] = self._values(dtype, shape, random, low, high)
            else:
                raise NotImplementedError(f"the input {key!r} is a composite tensor")
        return inputs

    def _values(
        self,
        dtype: tf.DType,
        shape: tuple[int, ...],
        random: np.random.Generator,
        low: int,
        high: int,
    ) -> Any:
        if dtype == tf.string:
            if self._parsed is not None:
                return _array(shape, lambda: self._example(random, low, high))
            return _array(shape, lambda: self._words[random.integers(len(self._words))])
        if dtype == tf.bool:
            return random.integers(0, 2, shape).astype(bool)
        if dtype.is_integer:
            return random.integers(low, high, shape).astype(dtype.as_numpy_dtype)
        return random.normal(size=shape).astype(dtype.as_numpy_dtype)

    def _find_parser(self) -> dict[str, tuple[tf.DType, int]] | None:
        """The features of serialized Examples, where the graph takes such."""
        for proto in (self._graph, *self._graph.library.function):
            body = Body(proto)
            for node in body:
                if node.op == "ParseExampleV2":
                    return _features(body, node)
        return None

    def _example(self, random: np.random.Generator, low: int, high: int) -> bytes:
        example = tf.train.Example()
        for key, (dtype, count) in (self._parsed or {}).items():
            feature = example.features.feature[key]
            values = self._values_of_feature(dtype, (count,), random, low, high)
            if dtype == tf.string:
                feature.bytes_list.value.extend(values)
            elif dtype == tf.int64:
                feature.int64_list.value.extend(values.tolist())
            else:
                feature.float_list.value.extend(values.tolist())
        return example.SerializeToString()

    def _values_of_feature(
        self,
        dtype: tf.DType,
        shape: tuple[int, ...],
        random: np.random.Generator,
        low: int,
        high: int,
    ) -> Any:
        if dtype == tf.string:
            return [self._words[random.integers(len(self._words))] for _ in range(shape[0])]
        return self._values(dtype, shape, random, low, high)


def _features(body: Body, node: Any) -> dict[str, tuple[tf.DType, int]] | None:
    inputs = body.data_inputs(node)
    sparse_keys, dense_keys = constant(body, inputs[2]), constant(body, inputs[3])
    if sparse_keys is None or dense_keys is None:
        return None
    features = {}
    for key, dtype in zip(sparse_keys, node.attr["sparse_types"].list.type, strict=True):
        features[key.decode()] = (tf.as_dtype(dtype), 2)
    shapes = node.attr["dense_shapes"].list.shape
    for key, dtype, shape in zip(dense_keys, node.attr["Tdense"].list.type, shapes, strict=True):
        count = int(np.prod([max(1, dim.size) for dim in shape.dim]))
        features[key.decode()] = (tf.as_dtype(dtype), count)
    return features


def _shape(shape: Any) -> tuple[int, ...]:
    if shape.unknown_rank:
        return (_BATCH,)
    return tuple(
        dim.size if dim.size >= 0 else _BATCH if i == 0 else _LENGTH
        for i, dim in enumerate(shape.dim)
    )


def _array(shape: tuple[int, ...], make: Any) -> Any:
    array = np.empty(shape, object)
    for index in np.ndindex(shape):
        array[index] = make()
    return array


def _words(folder: str) -> list[bytes]:
    """Words of the vocabularies among the assets, and some that no vocabulary has."""
    words = [b"", b"tf_hps: a word that no vocabulary has", b"1", b"7"]
    assets = os.path.join(folder, "assets")
    for name in sorted(os.listdir(assets)) if os.path.isdir(assets) else ():
        path = os.path.join(assets, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                words += [line.rstrip(b"\r\n") for line in file.readlines(1 << 20)[:_WORDS]]
    return words
