"""What the benchmarks vary, in one place: tables, batches and how ids are drawn."""

import dataclasses

import numpy as np

DISTRIBUTIONS = ("uniform", "zipf 1.05")


@dataclasses.dataclass(frozen=True)
class Axes:
    """One size of run: `full` is what benchmarks/README.md tells, `small` keeps the programs alive."""

    rows: int
    embedding_dim: int
    batches: tuple[int, ...]
    rounds: int


SIZES = {
    "full": Axes(2_000_000, 64, (32, 1024, 16384, 131072), 15),
    "small": Axes(20_000, 16, (32, 1024), 3),
}


def draw_ids(distribution: str, rows: int, count: int, seed: int = 1) -> np.ndarray:
    """`count` ids in [0, rows), int64. Hot ids are spread over the table, not neighbours."""
    random = np.random.default_rng(seed)
    if distribution == "uniform":
        return random.integers(0, rows, count)
    exponent = float(distribution.removeprefix("zipf "))
    weights = np.cumsum(np.arange(1, rows + 1, dtype=np.float64) ** -exponent)
    ranks = np.searchsorted(weights, random.random(count) * weights[-1])
    return np.random.default_rng(0).permutation(rows)[np.minimum(ranks, rows - 1)]
