"""Vocabularies in front of lookups: hash tables that turn keys into the numbers of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_hps.row_keys import (
    DECIMAL,
    FINGERPRINT,
    FLOORMOD,
    MOST_UNKNOWN_ROWS,
    first_unknown,
    stored_keys,
    unknown_row_of,
)
from tf_hps.saved_model.rewriting.asset_files import read_vocabulary
from tf_hps.saved_model.rewriting.body import Tensor, attribute
from tf_hps.saved_model.rewriting.flow import Instance
from tf_hps.saved_model.rewriting.origins import Origins

HASH_TABLES = ("HashTableV2",)
FIND = "LookupTableFindV2"
SIZE = "LookupTableSizeV2"
FILE_INITIALIZER = "InitializeTableFromTextFileV2"
INITIALIZERS = ("LookupTableImportV2", "InitializeTableV2", FILE_INITIALIZER)
_Ids = npt.NDArray[np.int64]
_COMPARE = ("Equal", "NotEqual")
_HASH = "StringToHashBucketFast"
_SALTED_HASH = "StringToHashBucketStrong"
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda x: x,
    "Equal": lambda x, y: np.asarray(x == y, bool),
    "FloorMod": np.mod,
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
    unknown_rows: _Ids  # Those of unknown keys.
    rule: str  # By which they have one of them; see tf_hps.row_keys.

    def same(self, other: Folding) -> bool:
        return (
            (self.hash_table, self.rule) == (other.hash_table, other.rule)
            and np.array_equal(self.keys, other.keys)
            and np.array_equal(self.rows, other.rows)
            and np.array_equal(self.unknown_rows, other.unknown_rows)
        )

    def stored(self) -> tuple[_Ids, _Ids]:
        """All keys under which there are rows, and the row of each."""
        rows = len(self.unknown_rows)
        unknown = first_unknown(rows, self.rule) + np.arange(rows, dtype=np.int64)
        return np.append(self.keys, unknown), np.append(self.rows, self.unknown_rows)


@dataclasses.dataclass(frozen=True)
class FoldedLookup:
    """A lookup whose ids come out of a vocabulary, and from which keys."""

    node: str
    keys: str  # The input that has them.
    between: frozenset[str]  # Nodes from the keys to the ids.


def read_vocabularies(
    instances: Iterable[Instance], origins: Origins, assets: Mapping[str, str]
) -> dict[str, tuple[Any, _Ids]]:
    """Keys and values of the hash tables that are filled from constants or files, by their nodes.

    `assets`: files by the nodes of the main graph that name them.
    """
    found = {}
    for instance in instances:
        for node in instance.body:
            if node.op not in INITIALIZERS:
                continue
            handle, *filled = instance.body.data_inputs(node)
            table = origins.node(instance, handle)
            if table and node.op == FILE_INITIALIZER:
                file = assets.get(origins.node(instance, filled[0]) or "")
                if file is not None:
                    found[table] = read_vocabulary(file, node, origins.graph_node(table))
            elif table:
                arrays = [origins.constant(instance, text) for text in filled[:2]]
                if arrays[0] is not None and arrays[1] is not None:
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
    stored = stored_keys(known, cone.buckets, cone.rule)
    ids = cone.ids(known, unknown_row_of(stored, cone.buckets, cone.rule))
    unknown = cone.ids(_unlike(known, cone.buckets), np.arange(cone.buckets))
    if min(ids.min(initial=0), unknown.min()) < 0 or max(ids.max(initial=0), unknown.max()) >= rows:
        raise CannotFold("unknown keys are an error")
    lookup = FoldedLookup(node.name, cone.source, frozenset(cone.nodes))
    order = np.argsort(stored, kind="stable")
    return lookup, Folding(cone.hash_table, stored[order], ids[order], unknown, cone.rule)


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
        asked: list[Any] = []
        others = set()
        readers: dict[Tensor, list[Any]] = {}
        while left:
            text = left.pop()
            node = body.nodes.get(body.tensor(text)[0])
            if node is not None and node.name in self.nodes:
                continue
            if node is not None and node.op in (FIND, SIZE):
                asked.append(node)
                self.nodes.add(node.name)
            elif node is not None and node.op in (*_ARITHMETIC, _HASH, "AsString"):
                self.nodes.add(node.name)
                left += body.data_inputs(node)
                for data in body.data_inputs(node):
                    readers.setdefault(body.tensor(data), []).append(node)
            elif node is not None and node.op == _SALTED_HASH:
                raise CannotFold("unknown keys get their rows by a salted hash")
            elif origins.constant(instance, text) is None:
                others.add(body.tensor(text))
        finds = [node for node in asked if node.op == FIND]
        if len(finds) != 1:
            raise CannotFold("its ids come from no vocabulary")
        self._find = finds[0]
        handle, self.source, default = body.data_inputs(self._find)
        self._keys = body.tensor(self.source)
        if others - {self._keys}:
            raise CannotFold("its ids depend on more than the keys")
        self.hash_table = origins.node(instance, handle) or ""
        tables = {origins.node(instance, body.data_inputs(node)[0]) for node in asked}
        if tables != {self.hash_table}:
            raise CannotFold("its ids depend on several vocabularies")
        # What looks at the keys themselves: comparing them with one, and hashing unknown ones.
        comparing = [node for node in readers.get(self._keys, []) if node.op in _COMPARE]
        self._hash, self.buckets, self.rule = self._hashing(readers)
        if self.hash_table not in vocabularies:
            raise CannotFold("its vocabulary is neither in the graph nor among its assets")
        self._vocabulary = vocabularies[self.hash_table]
        self._default = origins.constant(instance, default)
        if self._default is None:
            raise CannotFold("what unknown keys get is no constant")
        self._compared = [
            origins.constant(instance, text)
            for node in comparing
            for text in body.data_inputs(node)
            if body.tensor(text) != self._keys
        ]

    def keys(self) -> Any:
        """The keys that are known, and those that are compared with."""
        words, _ = self._vocabulary
        extra = [np.reshape(value, -1) for value in self._compared]
        # Not np.unique, which would sort objects: words keep their order, each comes once.
        seen = dict.fromkeys(np.concatenate([words, *extra]).tolist())
        return np.array(list(seen), words.dtype)

    def _hashing(self, readers: Mapping[Tensor, list[Any]]) -> tuple[str, int, str]:
        """The node that chooses rows of unknown keys, how many there are, and how; one without a node."""
        body = self._instance.body
        hashing = []
        for node in readers.get(self._keys, []):
            if node.op == "AsString":
                hashing += [(reader, DECIMAL) for reader in readers.get((node.name, 0), [])]
            elif node.op == _HASH:
                hashing.append((node, FINGERPRINT))
            elif node.op == "FloorMod":
                hashing.append((node, FLOORMOD))
            elif node.op not in _COMPARE:
                raise CannotFold("its ids are computed from the keys otherwise")
        if not hashing:
            return "", 1, FLOORMOD
        if len(hashing) > 1:
            raise CannotFold("unknown keys get their rows by several hashes")
        node, rule = hashing[0]
        buckets = 0
        if node.op == _HASH:
            buckets = int(attribute(node, "num_buckets").i)
        elif rule == FLOORMOD and body.tensor(body.data_inputs(node)[0]) == self._keys:
            divisor = self._origins.constant(self._instance, body.data_inputs(node)[1])
            if divisor is not None and np.size(divisor) == 1:
                buckets = int(np.ravel(divisor)[0])
        if not 1 <= buckets <= MOST_UNKNOWN_ROWS:
            raise CannotFold("its ids are computed from the keys otherwise")
        return node.name, buckets, rule

    def ids(self, keys: Any, buckets: Any) -> _Ids:
        """The ids of keys; `buckets`: what the hash says of them."""
        words, values = self._vocabulary
        of = dict(zip(words.tolist(), values.tolist(), strict=True))
        default = int(np.reshape(self._default, -1)[0])
        found = np.array([of.get(key, default) for key in keys.tolist()], np.int64)
        ids = self._compute(self._ids, keys, found, buckets)
        return np.broadcast_to(ids, keys.shape).astype(np.int64)

    def _compute(self, text: str, keys: Any, found: _Ids, buckets: Any) -> Any:
        if self._instance.body.tensor(text) == self._keys:
            return keys
        node = self._instance.body.nodes.get(self._instance.body.tensor(text)[0])
        if node is not None and node.name == self._find.name:
            return found
        if node is not None and node.name == self._hash:
            return buckets
        if node is not None and node.op == SIZE:
            return np.int64(len(self._vocabulary[0]))
        if node is None or node.op not in _ARITHMETIC:
            return self._origins.constant(self._instance, text)
        inputs = self._instance.body.data_inputs(node)
        if node.op == "StridedSlice" and attribute(node, "shrink_axis_mask").i != 1:
            raise CannotFold("its ids depend on more than the keys")
        computed = [self._compute(other, keys, found, buckets) for other in inputs]
        return _ARITHMETIC[node.op](*computed)


def _unlike(keys: Any, times: int) -> Any:
    """A key that is not among these, so many times."""
    if keys.dtype == object:
        return np.array([b"tf_hps: unlike " + max(keys.tolist(), default=b"")] * times, object)
    taken = set(keys.tolist())
    unlike = next(n for n in range(len(taken) + 1) if n not in taken)
    return np.full(times, unlike, keys.dtype)
