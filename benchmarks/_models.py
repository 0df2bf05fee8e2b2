"""SavedModels of the benchmarks: a model shaped like DLRM with dense tables, and what `rewrite` makes of it.

Called with a folder, a seed, an embedding_dim and the rows of each table, it writes FOLDER/dense; the model's memory ends with
that process.
"""

import itertools
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

DENSE_FEATURES = 13
_BOTTOM, _TOP = (512, 256), (512, 256, 1)  # as DLRM's authors have it for Criteo's smaller data set


class Dlrm(tf.Module):
    """ids [n, tables] and dense features [n, 13] -> probabilities [n]."""

    def __init__(self, rows: Sequence[int], embedding_dim: int, seed: int = 2):
        super().__init__()
        self.tables = [
            tf.Variable(
                tf.random.stateless_normal((n, embedding_dim), (i, seed)), name=f"table_{i}"
            )
            for i, n in enumerate(rows)
        ]
        self.bottom = mlp([DENSE_FEATURES, *_BOTTOM, embedding_dim])
        vectors = len(rows) + 1
        self.pairs = tf.constant([i * vectors + j for i in range(vectors) for j in range(i)])
        self.top = mlp([embedding_dim + len(self.pairs), *_TOP])
        ids = tf.TensorSpec([None, len(rows)], tf.int64, name="ids")
        dense = tf.TensorSpec([None, DENSE_FEATURES], tf.float32, name="dense")
        self.predict = tf.function(self.answer, [ids, dense])

    def answer(self, ids: tf.Tensor, dense: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors = [through(self.bottom, dense)]
        for table, one in zip(self.tables, tf.unstack(ids, axis=1), strict=True):
            vectors.append(tf.nn.embedding_lookup(table, one))
        stacked = tf.stack(vectors, 1)
        products = tf.matmul(stacked, stacked, transpose_b=True)
        products = tf.reshape(products, [-1, len(vectors) ** 2])
        features = tf.concat([vectors[0], tf.gather(products, self.pairs, axis=1)], 1)
        return {"probability": tf.sigmoid(through(self.top, features))[:, 0]}


def mlp(widths: Sequence[int]) -> list[tf.Variable]:
    return [
        tf.Variable(tf.random.stateless_normal((rows, columns), (7, rows)) / rows**0.5)
        for rows, columns in itertools.pairwise(widths)
    ]


def through(layers: list[tf.Variable], values: tf.Tensor) -> tf.Tensor:
    for layer in layers[:-1]:
        values = tf.nn.relu(values @ layer)
    return values @ layers[-1]


def save(
    folder: pathlib.Path, rows: Sequence[int], embedding_dim: int, seed: int = 2
) -> dict[str, pathlib.Path]:
    """The SavedModels, `dense` and `tables`, both with the same rows; with another seed all are others."""
    from tf_hps.saved_model import rewrite

    arguments = [str(folder), str(seed), str(embedding_dim), *map(str, rows)]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    paths = {"dense": folder / "dense", "tables": folder / "tables"}
    rewrite(paths["dense"], paths["tables"], check=False)
    return paths


def as_version(model: pathlib.Path, folder: pathlib.Path) -> None:
    """A copy of a SavedModel that shares its files."""
    folder.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "--recursive", "--link", model, folder], check=True)


def dense_features(samples: int) -> np.ndarray:
    return np.random.default_rng(2).random((samples, DENSE_FEATURES), dtype=np.float32)


if __name__ == "__main__":
    model = Dlrm([int(rows) for rows in sys.argv[4:]], int(sys.argv[3]), int(sys.argv[2]))
    tf.saved_model.save(model, f"{sys.argv[1]}/dense", signatures=model.predict)
