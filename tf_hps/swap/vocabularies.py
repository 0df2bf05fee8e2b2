"""Vocabulary layers in front of Embeddings, and the keys that rows have without them."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_hps.row_keys import (
    DECIMAL,
    FINGERPRINT,
    FLOORMOD,
    MOST_UNKNOWN_ROWS,
    default_row,
    first_unknown,
    stored_keys,
)
from tf_hps.store.keyed_source import KeyedSource
from tf_hps.store.sources import RowSource

VOCABULARIES = (keras.layers.StringLookup, keras.layers.IntegerLookup)


class CannotFold(Exception):
    """Why a vocabulary stays where it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Folding:
    """The keys of an Embedding's rows in the place of a vocabulary."""

    lookup: Any
    keys: npt.NDArray[np.int64]  # As they are stored, those of unknown ones among them.
    rows: npt.NDArray[np.int64]  # The row of each.
    padding_key: int | str  # What gets row 0 by its meaning.

    @property
    def known(self) -> int:
        """How many ids the vocabulary knows, the mask among them."""
        return len(self.keys) - int(self.lookup.num_oov_indices)

    def default_row(self) -> dict[str, int | str]:
        """What ids get that have no row."""
        return default_row(self.lookup.num_oov_indices, _rule(self.lookup))

    def keyed(self, rows: RowSource) -> RowSource:
        return KeyedSource(rows, self.keys, self.rows)


def check_foldable(lookup: Any) -> None:
    """CannotFold for a vocabulary that does not only turn ids into the numbers of rows."""
    cls = type(lookup)
    if not any(cls.call is vocabulary.call for vocabulary in VOCABULARIES):
        raise CannotFold(f"{cls.__name__} has a call of its own")
    if lookup.invert or lookup.output_mode != "int":
        raise CannotFold("it gives no numbers of rows")
    if lookup.num_oov_indices == 0:
        raise CannotFold("unknown keys are an error (num_oov_indices=0)")
    if lookup.num_oov_indices > MOST_UNKNOWN_ROWS:
        raise CannotFold(f"it has more than {MOST_UNKNOWN_ROWS} rows for unknown keys")
    if lookup.num_oov_indices > 1 and lookup.salt is not None:
        raise CannotFold("unknown keys get their rows by a salted hash")


def fold(lookup: Any, embedding: Any) -> Folding:
    """What the rows of `embedding` are stored under when `lookup` goes; CannotFold where it cannot."""
    check_foldable(lookup)
    words, rows = (tensor.numpy() for tensor in lookup.lookup_table.export())
    masks = lookup.mask_token is not None
    if masks:
        mask = tf.constant([lookup.mask_token], lookup.vocabulary_dtype).numpy()
        others = words != mask[0]
        words, rows = np.append(words[others], mask), np.append(rows[others], 0)
    elif embedding.mask_zero:
        raise CannotFold(f"`{embedding.name}` masks row 0, which is that of no mask token")
    buckets = np.arange(lookup.num_oov_indices)
    unknown = buckets + (1 if masks else 0)
    size = max(unknown.max(), rows.max(initial=0)) + 1
    if size > embedding.input_dim:
        raise CannotFold(f"it has {size} numbers, `{embedding.name}` {embedding.input_dim} rows")
    rule = _rule(lookup)
    first = first_unknown(len(buckets), rule)
    return Folding(
        lookup,
        np.append(stored_keys(words, len(buckets), rule), first + buckets),
        np.append(rows, unknown),
        lookup.mask_token if masks else first,
    )


def _rule(lookup: Any) -> str:
    """By which an unknown key has one of the rows for them."""
    if lookup.vocabulary_dtype == "string":
        return FINGERPRINT
    return DECIMAL if lookup.oov_method == "farmhash" else FLOORMOD
