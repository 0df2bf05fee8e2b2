"""Writes what this version of tf_hps writes, for later versions to read: tests/golden/VERSION.

Run once for a release, before it: a folder that is there is never written again. See docs/compatibility.md.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import tensorflow as tf

import tf_hps
from tf_hps.store import StoreWriter, from_arrays

HERE = pathlib.Path(__file__).resolve().parent
DIM = 4
ROWS = 50


class Model(tf.Module):
    """Every op with every kind of input, on two tables."""

    def __init__(self, config: tf_hps.Config):
        super().__init__()
        self.movies = tf_hps.Table("movies", config)
        self.users = tf_hps.Table("users", config)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="movies"),
            tf.TensorSpec([None], tf.int32, name="users"),
        ]
    )
    def answer(self, movies: tf.Tensor, users: tf.Tensor) -> dict[str, tf.Tensor]:
        bags = tf.RaggedTensor.from_row_lengths(movies, [1, 0, tf.size(movies) - 1])
        weights = tf.ones_like(movies, tf.float32) * 0.5
        group = tf_hps.embedding_lookup_group(
            {"m": self.movies, "u": self.users}, {"m": movies, "u": users}
        )
        degraded = tf_hps.embedding_lookup_until_deadline(self.users, users)
        sparse = tf.sparse.from_dense([[1, 2], [3, 0]])
        return {
            "row": tf_hps.embedding_lookup(self.movies, movies),
            "mean": tf_hps.embedding_lookup_sparse(self.movies, bags, None, combiner="mean"),
            "weighted": tf_hps.embedding_lookup_sparse(
                self.movies, bags, bags.with_values(weights), combiner="sum"
            ),
            "sparse": tf_hps.embedding_lookup_sparse(self.users, sparse, None, combiner="sqrtn"),
            "of_group": tf.concat([group["m"], group["u"]], 0),
            "until_deadline": degraded[0],
            "is_degraded": tf.cast(degraded[1], tf.float32),
        }


def rows(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((ROWS, DIM), np.float32)


def write_delta_store(path: pathlib.Path) -> None:
    """A generation of table `movies`, and one over it: 5 changed, 60 new, 7 erased."""
    with StoreWriter(path) as writer:
        base = writer.write_table("movies", from_arrays(rows(3)))
        changed = from_arrays(np.full((2, DIM), 9, np.float32), [5, 60])
        writer.write_delta("movies", base, changed, [7])


INPUTS = {
    "movies": np.array([0, 7, 7, ROWS - 1, 1000, -3], np.int64),
    "users": np.array([2, 49, 12], np.int32),
}


def main() -> None:
    target = HERE / tf_hps.__version__
    if target.exists():
        sys.exit(f"{target} is there: what was released does not change")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        store = folder / "store"
        with StoreWriter(store) as writer:
            writer.write_table("movies", from_arrays(rows(1)))
            writer.write_table("users", from_arrays(rows(2)), row_format="float16")
        config = tf_hps.Config(
            deployment="golden",
            memory=tf_hps.MemoryConfig(),
            rocksdb=tf_hps.RocksdbConfig(str(store), read_only=True),
            tables={
                "movies": tf_hps.TableConfig(default_row=[1.0, 2.0, 3.0, 4.0]),
                "users": tf_hps.TableConfig(),
            },
        )
        model = Model(config)
        generations = {table.name: table.generation for table in (model.movies, model.users)}
        made = folder / "made"
        tf_hps.export(model, made / "saved_model", signatures=model.answer, hot_keys=3)
        (made / "stream").mkdir()
        with tf_hps.Publisher(str(made / "stream"), "golden", generations) as publisher:
            publisher.publish("movies", [7, 1000], np.full((2, DIM), 9, np.float32))
            publisher.publish("users", [2], np.full((1, DIM), 8, np.float32))
            publisher.erase("movies", [0])
            publisher.commit()
        answers = model.answer(**{k: tf.constant(v) for k, v in INPUTS.items()})
        expected = {name: value.numpy().tolist() for name, value in answers.items()}
        (made / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        write_delta_store(made / "delta_store")
        for left in made.rglob("LOG*"):
            left.unlink()
        shutil.move(made, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
