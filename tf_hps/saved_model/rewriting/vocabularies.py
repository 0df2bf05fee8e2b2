"""Vocabularies in front of lookups: hash tables that turn keys into the numbers of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_hps.saved_model.rewriting.body import attribute
from tf_hps.saved_model.rewriting.flow import Instance
from tf_hps.saved_model.rewriting.origins import Origins

HASH_TABLES = ("HashTableV2",)
FIND = "LookupTableFindV2"
INITIALIZERS = ("LookupTableImportV2", "InitializeTableV2")
_Ids = npt.NDArray[np.int64]
# The key under which the row of unknown keys is stored. No fingerprint of a key may be the same.
UNKNOWN = np.iinfo(np.int64).min
_COMPARE = ("Equal", "NotEqual")
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda x: x,
    "Equal": lambda x, y: np.asarray(x == y, bool),
    "Identity": lambda x: x,
    "Less": np.less,
    "NotEqual": lambda x, y: np.asarray(x != y, bool),
    "Select": np.where,
    "SelectV2": np.where,
    "StridedSlice": lambda x, begin, end, stride: x[begin[0]],
    "Sub": np.subtract,
}


class CannotFold(Exception):
    """Why a vocabulary stays where it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Folding:
    """The keys of a table's rows in the place of a vocabulary."""

    hash_table: str  # Its node in the main graph.
    keys: _Ids  # As they are stored: the numbers themselves, or the words' fingerprints.
    rows: _Ids  # The row of each.
    unknown_row: int

    def same(self, other: Folding) -> bool:
        return (
            (self.hash_table, self.unknown_row) == (other.hash_table, other.unknown_row)
            and np.array_equal(self.keys, other.keys)
            and np.array_equal(self.rows, other.rows)
        )


@dataclasses.dataclass(frozen=True)
class FoldedLookup:
    """A lookup whose ids come out of a vocabulary, and from which keys."""

    node: str
    keys: str  # The input that has them.
    between: frozenset[str]  # Nodes from the keys to the ids.


def read_vocabularies(
    instances: Iterable[Instance], origins: Origins
) -> dict[str, tuple[Any, _Ids]]:
    """Keys and values of the hash tables that are filled from constants, by their nodes."""
    found = {}
    for instance in instances:
        for node in instance.body:
            if node.op in INITIALIZERS:
                handle, keys, values = instance.body.data_inputs(node)[:3]
                table = origins.node(instance, handle)
                arrays = [origins.constant(instance, text) for text in (keys, values)]
                if table and arrays[0] is not None and arrays[1] is not None:
                    found[table] = (arrays[0].reshape(-1), arrays[1].reshape(-1))
    return found


def fold(
    instance: Instance,
    node: Any,
    origins: Origins,
    vocabularies: Mapping[str, tuple[Any, _Ids]],
    rows: int,
) -> tuple[FoldedLookup, Folding]:
    """How the ids of a lookup come out of a vocabulary; CannotFold where they do not."""
    cone = _Cone(instance, instance.body.data_inputs(node)[1], origins, vocabularies)
    known = cone.keys()
    ids = np.broadcast_to(cone.ids(known), known.shape).astype(np.int64)
    unknown_row = int(np.broadcast_to(cone.ids(_unlike(known)), (1,))[0])
    if not 0 <= unknown_row < rows or (len(ids) and not 0 <= ids.min() <= ids.max() < rows):
        raise CannotFold("unknown keys are an error")
    lookup = FoldedLookup(node.name, cone.source, frozenset(cone.nodes))
    stored = stored_keys(known)
    order = np.argsort(stored, kind="stable")
    return lookup, Folding(cone.hash_table, stored[order], ids[order], unknown_row)


def stored_keys(keys: Any) -> _Ids:
    """Integers as they are, words' fingerprints; two words with the same one are a ValueError."""
    if keys.dtype != object:
        stored = keys.astype(np.int64)
    else:
        fingerprints = tf.fingerprint(tf.constant(keys), method="farmhash64").numpy()
        stored = np.ascontiguousarray(fingerprints).view(np.int64).reshape(-1)
    order = np.argsort(stored, kind="stable")
    same = np.flatnonzero(stored[order][1:] == stored[order][:-1])
    if len(same):
        one, other = keys[order[same[0]]], keys[order[same[0] + 1]]
        raise ValueError(f"the keys {one!r} and {other!r} have the same fingerprint")
    if UNKNOWN in stored:
        raise ValueError(f"the key {keys[stored == UNKNOWN][0]!r} is kept for unknown ones")
    return stored


class _Cone:
    """What is computed between a lookup and the keys that it looks up."""

    def __init__(
        self,
        instance: Instance,
        ids: str,
        origins: Origins,
        vocabularies: Mapping[str, tuple[Any, _Ids]],
    ) -> None:
        self._instance = instance
        self._ids = ids
        self._origins = origins
        self.nodes: set[str] = set()
        body = instance.body
        left = [ids]
        finds = {}
        others = set()
        readers: dict[str, list[Any]] = {}
        while left:
            text = left.pop()
            node = body.nodes.get(body.tensor(text)[0])
            if node is not None and node.name in self.nodes:
                continue
            if node is not None and node.op == FIND:
                finds[node.name] = node
                self.nodes.add(node.name)
            elif node is not None and node.op in _ARITHMETIC:
                self.nodes.add(node.name)
                left += body.data_inputs(node)
                for data in body.data_inputs(node):
                    readers.setdefault(data, []).append(node)
            elif node is not None and node.op in ("StringToHashBucketFast", "FloorMod"):
                raise CannotFold("it has several rows for unknown keys")
            elif origins.constant(instance, text) is None:
                others.add(text)
        if len(finds) != 1:
            raise CannotFold("its ids come from no vocabulary")
        self._find = next(iter(finds.values()))
        handle, self.source, default = body.data_inputs(self._find)
        if others - {self.source}:
            raise CannotFold("its ids depend on more than the keys")
        # What looks at the keys themselves: only comparing them with one.
        comparing = readers.get(self.source, [])
        if any(node.op not in _COMPARE for node in comparing):
            raise CannotFold("its ids are computed from the keys otherwise")
        self.hash_table = origins.node(instance, handle) or ""
        if self.hash_table not in vocabularies:
            raise CannotFold("its vocabulary is not in the graph, but in a file for instance")
        self._vocabulary = vocabularies[self.hash_table]
        self._default = origins.constant(instance, default)
        if self._default is None:
            raise CannotFold("what unknown keys get is no constant")
        self._compared = [
            origins.constant(instance, text)
            for node in comparing
            for text in body.data_inputs(node)
            if text != self.source
        ]

    def keys(self) -> Any:
        """The keys that are known, and those that are compared with."""
        words, _ = self._vocabulary
        extra = [np.reshape(value, -1) for value in self._compared]
        # Not np.unique, which would sort objects: words keep their order, each comes once.
        seen = dict.fromkeys(np.concatenate([words, *extra]).tolist())
        return np.array(list(seen), words.dtype)

    def ids(self, keys: Any) -> Any:
        words, values = self._vocabulary
        of = dict(zip(words.tolist(), values.tolist(), strict=True))
        default = int(np.reshape(self._default, -1)[0])
        found = np.array([of.get(key, default) for key in keys.tolist()], np.int64)
        return self._compute(self._ids, keys, found)

    def _compute(self, text: str, keys: Any, found: _Ids) -> Any:
        if text == self.source:
            return keys
        node = self._instance.body.nodes.get(self._instance.body.tensor(text)[0])
        if node is not None and node.name == self._find.name:
            return found
        if node is None or node.op not in _ARITHMETIC:
            return self._origins.constant(self._instance, text)
        inputs = self._instance.body.data_inputs(node)
        if node.op == "StridedSlice" and attribute(node, "shrink_axis_mask").i != 1:
            raise CannotFold("its ids depend on more than the keys")
        return _ARITHMETIC[node.op](*(self._compute(other, keys, found) for other in inputs))


def _unlike(keys: Any) -> Any:
    """A key that is not among these."""
    if keys.dtype == object:
        return np.array([b"tf_hps: unlike " + max(keys.tolist(), default=b"")], object)
    taken = set(keys.tolist())
    return np.array([next(n for n in range(len(taken) + 1) if n not in taken)], keys.dtype)
