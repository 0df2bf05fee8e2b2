"""The hit rate of an LRU cache at every capacity, from a sample of the keys that were asked for.

After "Efficient MRC Construction with SHARDS" (Waldspurger et al., FAST 2015): of all keys those are
followed whose hash is below a threshold, and each stands for 1 / rate keys. Embedding tables are asked for very
unevenly, and a sample has the popular keys by luck, or has not, which moves the whole curve by points. A whole
trace tells how often each key comes, so the rate of a key rises with that; and keys that come at least every
200 lookups are not sampled at all: so many lookups bound the keys between two uses.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Lookups that are followed at most, some ten seconds of work.
_MAX_FOLLOWED = 400_000
# A key that comes once in so many lookups or more often is not sampled.
_OFTEN = 200
_HASH_BITS = 24


@dataclasses.dataclass(frozen=True)
class HitRateCurve:
    """Hit rates at ascending capacities.

    Args:
        capacities: Rows [n], ascending, from 0.
        hit_rates: [n], rising.
        lookups: Keys that were asked for.
        rows: Distinct ones among them.
    """

    capacities: NDArray[np.int64]
    hit_rates: NDArray[np.float64]
    lookups: int
    rows: int

    def at(self, capacity: ArrayLike) -> NDArray[np.float64]:
        """The hit rate of a cache of so many rows."""
        return np.interp(np.asarray(capacity, float), self.capacities, self.hit_rates)


def hit_rate_curve(
    keys: ArrayLike, max_followed: int = _MAX_FOLLOWED, points: int = 200
) -> HitRateCurve:
    """The hit rate of an LRU cache of rows, by its capacity.

    The default eviction of the tier, `lfu`, is as good on most traces and better on skewed ones: the curve
    is what to expect at least.

    Args:
        keys: What was asked for, in order, integers [n].
        max_followed: Lookups that are followed, about; all of a shorter trace, which makes it exact.
        points: Capacities in the curve.
    """
    trace = np.asarray(keys).reshape(-1)
    if trace.size and not np.issubdtype(trace.dtype, np.integer):
        raise ValueError(f"`keys` are integers. Received: {trace.dtype}")
    if max_followed < 1:
        raise ValueError(f"`max_followed` is positive. Received: {max_followed}")
    distances, lookups, rows = _sampled_distances(trace.astype(np.int64), max_followed)
    capacities = np.unique(np.concatenate([[0, 1], _spaced(max(rows, 2), points)]))
    order = np.argsort(distances)
    hits = np.concatenate([[0], np.cumsum(lookups[order])])
    below = np.searchsorted(distances[order], capacities, side="left")
    return HitRateCurve(capacities, hits[below] / max(1, trace.size), int(trace.size), rows)


def _sampled_distances(
    trace: NDArray[np.int64], max_followed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Distances of reuses, for how many lookups each stands, and the number of distinct keys."""
    distinct, inverse, counts = np.unique(trace, return_inverse=True, return_counts=True)
    if trace.size <= max_followed:
        distances = reuse_distances(trace)
        reused = distances[distances >= 0]
        return reused, np.ones(reused.size), distinct.size
    often = counts * _OFTEN > trace.size
    gaps = [np.diff(np.flatnonzero(inverse == key)) - 1.0 for key in np.flatnonzero(often)]

    rates = np.where(often, 0, _rates(counts, ~often, max_followed))
    followed = _hash(distinct) < rates * (1 << _HASH_BITS)
    # The sample's keys stand for as many keys as there are, its lookups for as many lookups.
    stands_for = np.divide(1, rates, out=np.zeros(distinct.size), where=followed)
    stands_for *= (~often).sum() / max(1.0, stands_for.sum())
    chosen = followed[inverse]
    weights = stands_for[inverse[chosen]]
    # Between two uses of a rarer key all of the others have been asked for.
    distances = reuse_distances(trace[chosen], weights) + often.sum()
    weights *= counts[~often].sum() / max(1.0, weights.sum())
    reused = distances >= often.sum()
    return (
        np.concatenate([distances[reused], *gaps]),
        np.concatenate([weights[reused], *(np.ones(gap.size) for gap in gaps)]),
        distinct.size,
    )


def _rates(
    counts: NDArray[np.int64], chosen: NDArray[np.bool_], max_followed: int
) -> NDArray[np.float64]:
    """Each key's rate: two thirds of the lookups for rates that rise with the count, one for an equal one."""
    total = counts[chosen].sum()
    equal = min(1.0, max_followed / 3 / max(1, total))
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        cost = (counts * np.minimum(1, middle * counts))[chosen].sum()
        low, high = (low, middle) if cost > 2 * max_followed / 3 else (middle, high)
    return np.minimum(1, np.maximum(equal, low * counts))


def reuse_distances(keys: ArrayLike, stands_for: ArrayLike | None = None) -> NDArray[np.float64]:
    """For each key how many others were asked for since its last use; -1 at its first.

    Args:
        keys: Integers [n].
        stands_for: How many keys each is counted as. Defaults to one.
    """
    keys = np.asarray(keys)
    weights = np.ones(keys.size) if stands_for is None else np.asarray(stands_for, float)
    distances = np.full(keys.size, -1.0)
    # Sums of the weights at positions that are their key's last use so far (a Fenwick tree).
    tree = [0.0] * (keys.size + 1)
    last: dict[int, int] = {}
    total = 0.0
    for position, (key, weight) in enumerate(zip(keys.tolist(), weights.tolist(), strict=True), 1):
        before = last.get(key)
        if before is None:
            total += weight
        else:
            distances[position - 1] = round(total - _sum(tree, before), 6)
            _add(tree, before, -weight)
        _add(tree, position, weight)
        last[key] = position
    return distances


def _sum(tree: list[float], position: int) -> float:
    total = 0.0
    while position:
        total += tree[position]
        position &= position - 1
    return total


def _add(tree: list[float], position: int, value: float) -> None:
    size = len(tree)
    while position < size:
        tree[position] += value
        position += position & -position


def _hash(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """_HASH_BITS well mixed bits of each key (the finalizer of splitmix64)."""
    mixed = keys.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(64 - _HASH_BITS)


def _spaced(largest: int, points: int) -> NDArray[np.int64]:
    return np.unique(np.geomspace(1, largest, points).round().astype(np.int64))
