"""Batches of ascending keys with what belongs to them, side by side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# Keys int64[n], and columns of as many.
Columns = tuple[npt.NDArray[Any], ...]


class Cursor:
    """The batch of a stream of ascending keys that is looked at.

    Args:
        batches: the stream.
        empty: a batch of no keys.
    """

    def __init__(self, batches: Iterator[Columns], empty: Columns) -> None:
        self._batches = batches
        self._batch = empty

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        return self._batch[0]

    def fill(self) -> bool:
        """Reads on when nothing is left; False at the end."""
        while not len(self.keys):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._batch = batch
        return True

    def last_key(self) -> int:
        return int(self.keys[-1])

    def take_until(self, bound: int) -> Columns:
        n = int(np.searchsorted(self.keys, bound, side="right"))
        taken = tuple(column[:n] for column in self._batch)
        self._batch = tuple(column[n:] for column in self._batch)
        return taken


def aligned(
    first: Iterator[Columns], second: Iterator[Columns], empty: Columns
) -> Iterator[tuple[Columns, Columns]]:
    """Both sides of the same ranges of keys, one range after the other."""
    cursors = Cursor(first, empty), Cursor(second, empty)
    # Both sides have all that they have up to the bound in memory.
    while bounds := [cursor.last_key() for cursor in cursors if cursor.fill()]:
        yield cursors[0].take_until(min(bounds)), cursors[1].take_until(min(bounds))


def overlaid(
    below: Iterator[Columns], above: Iterator[Columns], empty: Columns
) -> Iterator[Columns]:
    """All keys of both; of those that both have, what `above` says."""
    for old, new in aligned(below, above, empty):
        if not len(new[0]):
            yield old
            continue
        stays = ~np.isin(old[0], new[0], assume_unique=True)
        yield merged(tuple(column[stays] for column in old), new)


def merged(first: Columns, second: Columns) -> Columns:
    """Two batches as one; no key is in both."""
    if not len(first[0]) or not len(second[0]):
        return first if len(first[0]) else second
    keys = np.concatenate([first[0], second[0]])
    places = np.empty(len(keys), np.intp)
    places[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    here, there = places[: len(first[0])], places[len(first[0]) :]
    columns = []
    for one, other in zip(first, second, strict=True):
        # Rows are copied once; joined and sorted afterwards they would be twice.
        column = np.empty((len(keys), *one.shape[1:]), one.dtype)
        column[here] = one
        column[there] = other
        columns.append(column)
    return tuple(columns)
