"""Ratings for the examples: MovieLens' CSV, or generated ones with the same columns."""

import csv
import dataclasses
import pathlib

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Ratings:
    """One entry a rating."""

    user_id: NDArray[np.int64]
    movie_id: NDArray[np.int64]
    rating: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rating)


def read(path: pathlib.Path) -> Ratings:
    """Reads `userId,movieId,rating,...`; further columns are passed over."""
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        wanted = ("userId", "movieId", "rating")
        missing = [name for name in wanted if name not in (rows.fieldnames or [])]
        if missing:
            raise ValueError(f"{path} has no column {missing}; its columns are {rows.fieldnames}")
        lines = [[float(row[name]) for name in wanted] for row in rows]
    if not lines:
        raise ValueError(f"{path} has no ratings")
    users, movies, ratings = np.array(lines).T  # float64 holds every id up to 2^53
    return Ratings(
        users.astype(np.int64), movies.astype(np.int64), np.ascontiguousarray(ratings, np.float32)
    )


def generate(count: int = 100_000, users: int = 700, movies: int = 9_000, seed: int = 1) -> Ratings:
    """Ratings with a taste behind them: few movies get most of them, as in real catalogues."""
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, movies + 1) ** 1.05
    # Ids are permuted: popular movies are no neighbours in any table.
    rank_to_movie = random.permutation(movies) + 1
    movie = rank_to_movie[random.choice(movies, count, p=popularity / popularity.sum())]
    user = random.integers(1, users + 1, count)
    user_taste = random.normal(size=(users + 1, 4))
    movie_taste = random.normal(size=(movies + 1, 4))
    score = 3.5 + 0.5 * np.einsum("ij,ij->i", user_taste[user], movie_taste[movie])
    score += random.normal(scale=0.3, size=count)
    halves = np.clip(np.round(score * 2) / 2, 0.5, 5)
    return Ratings(user.astype(np.int64), movie.astype(np.int64), halves.astype(np.float32))
