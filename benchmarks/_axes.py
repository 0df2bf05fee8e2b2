"""What the benchmarks vary, in one place: tables, batches and how ids are drawn."""

import argparse
import dataclasses

import numpy as np

DISTRIBUTIONS = ("uniform", "zipf 1.05")

# Ids that a case draws before it begins again. A request seldom asks for the rows of the one before it:
# the few thousand ids of a short chain, again and again, would measure the processor's cache.
FRESH_IDS = 1 << 20

# Rows of the 26 categorical features of Criteo's click logs, as recommenders are measured on.
CRITEO = (
    *(7912889, 33823, 17139, 7339, 20046, 4, 7105, 1382, 63, 5554114, 582469, 245828, 11),
    *(2209, 10667, 104, 4, 968, 15, 8165896, 2675940, 7156453, 302516, 12022, 97, 35),
)


@dataclasses.dataclass(frozen=True)
class Axes:
    """One size of run: `full` is what benchmarks/README.md tells, `small` keeps the programs alive."""

    tables: tuple[tuple[int, int], ...]  # rows, embedding_dim; the first one where one is enough
    large: tuple[int, int]  # larger than any cache
    batches: tuple[int, ...]
    rounds: int
    bags: int  # of 20 ids
    group: tuple[int, ...]  # rows of each table
    samples: int

    @property
    def rows(self) -> int:
        return self.tables[0][0]

    @property
    def embedding_dim(self) -> int:
        return self.tables[0][1]


SIZES = {
    "full": Axes(
        tables=((2_000_000, 64), (16_000_000, 64), (8_000_000, 128)),
        large=(16_000_000, 64),
        batches=(32, 1024, 16384, 131072),
        rounds=15,
        bags=4096,
        group=CRITEO,
        samples=256,
    ),
    # For an hour that is short: the tables that fit the memory of a laptop.
    "medium": Axes(
        tables=((2_000_000, 64),),
        large=(2_000_000, 64),
        batches=(32, 1024, 16384, 131072),
        rounds=15,
        bags=4096,
        group=tuple(max(4, rows // 10) for rows in CRITEO),
        samples=256,
    ),
    "small": Axes(
        tables=((20_000, 16),),
        large=(20_000, 16),
        batches=(32, 1024),
        rounds=3,
        bags=64,
        group=(1000, 4, 100, 10_000),
        samples=16,
    ),
}


def arguments(description: str | None) -> Axes:
    """What the size is that the command line asks for."""
    return SIZES[size(description)]


def size(description: str | None) -> str:
    """The name of the size that the command line asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", choices=SIZES, default="full", help="default: full")
    return str(parser.parse_args().size)


def draw_ids(distribution: str, rows: int, count: int, seed: int = 1) -> np.ndarray:
    """`count` ids in [0, rows), int64. Hot ids are spread over the table, not neighbours."""
    random = np.random.default_rng(seed)
    if distribution == "uniform":
        return random.integers(0, rows, count)
    exponent = float(distribution.removeprefix("zipf "))
    weights = np.cumsum(np.arange(1, rows + 1, dtype=np.float64) ** -exponent)
    ranks = np.searchsorted(weights, random.random(count) * weights[-1])
    return np.random.default_rng(0).permutation(rows)[np.minimum(ranks, rows - 1)]


def fresh_ids(rows: int, distribution: str, batch: int, lookups: int) -> list[np.ndarray]:
    """FRESH_IDS ids or a few more: arrays [lookups, batch], one for each call of a chain."""
    inputs = max(1, FRESH_IDS // (lookups * batch))
    ids = draw_ids(distribution, rows, inputs * lookups * batch)
    return list(ids.reshape(inputs, lookups, batch))
