"""The main job, from training to a server without Python.

Trains a small recommender with two embedding tables, moves the tables out of the model into tiers,
exports it, moves the export elsewhere, deletes the original, and serves it with a C++ program.

    python examples/quickstart.py [--ratings PATH/ratings.csv]
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import ratings as ratings_data
from numpy.typing import NDArray

import tf_hps

ROOT = pathlib.Path(__file__).resolve().parent.parent
OP_LIBRARY = pathlib.Path(tf_hps.__file__).parent / "_tf_hps_ops.so"


def recommender(users: int, movies: int, mean: float, dim: int = 64) -> keras.Model:
    """Predicts a rating from the embeddings of who rates and what is rated."""
    user_id = keras.Input((), dtype="int64", name="user_id")
    movie_id = keras.Input((), dtype="int64", name="movie_id")
    user = keras.layers.Embedding(users, dim, name="user")(user_id)
    movie = keras.layers.Embedding(movies, dim, name="movie")(movie_id)
    both = keras.layers.Concatenate()([user, movie, keras.layers.Multiply()([user, movie])])
    hidden = keras.layers.Dense(64, activation="relu")(both)
    bias = keras.initializers.Constant(mean)
    rating = keras.layers.Dense(1, bias_initializer=bias, name="rating")(hidden)
    model = keras.Model({"user_id": user_id, "movie_id": movie_id}, rating)
    model.compile(optimizer=keras.optimizers.Adam(0.002), loss="mse")
    return model


def inputs_of(data: ratings_data.Ratings, chosen: slice) -> dict[str, NDArray[np.int64]]:
    return {"user_id": data.user_id[chosen], "movie_id": data.movie_id[chosen]}


def train(data: ratings_data.Ratings, epochs: int, seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    users, movies = int(data.user_id.max()) + 1, int(data.movie_id.max()) + 1
    model = recommender(users, movies, float(data.rating.mean()))
    print(
        f"Training on {len(data):,} ratings, {users:,} user rows, {movies:,} movie rows of 64 floats"
    )
    # fit() draws one bar an epoch on a terminal and one line an epoch elsewhere.
    verbose = 1 if sys.stdout.isatty() else 2
    everything = slice(None)
    model.fit(
        inputs_of(data, everything), data.rating, batch_size=512, epochs=epochs, verbose=verbose
    )
    return model


def megabytes(folder: pathlib.Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def serve(
    program: pathlib.Path, model: pathlib.Path, pairs: pathlib.Path, library: pathlib.Path | None
) -> tuple[NDArray[np.float32], dict]:
    """Runs the C++ program: its predictions, and what it measured."""
    command = [str(program), str(model), str(pairs)]
    command += ["--library", str(library)] if library else []
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{program.name} failed:\n{done.stderr}")
    predictions = np.array(done.stdout.split(), np.float32)
    return predictions, json.loads(done.stderr.splitlines()[-1])


def write_pairs(path: pathlib.Path, inputs: dict[str, NDArray[np.int64]]) -> None:
    columns = np.stack(list(inputs.values()), axis=1)
    np.savetxt(path, columns, fmt="%d", delimiter=",", header=",".join(inputs), comments="")


def print_tables(tables: dict[str, dict]) -> None:
    for name, table in tables.items():
        print(f"  table {name}: {table['rows']:,} rows, {table['keys']:,} keys looked up")
        for tier in table["tiers"]:
            print(f"    {tier['kind']:<8} {tier['rows']:>9,} rows {tier['hits']:>12,} hits")
        print(f"    {'default':<8} {'':>9}      {table['default_rows']:>12,} rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=pathlib.Path, help="MovieLens' ratings.csv")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4096, help="pairs that are served at once")
    parser.add_argument(
        "--server", type=pathlib.Path, default=ROOT / "build/release/examples/serve"
    )
    arguments = parser.parse_args()
    data = ratings_data.read(arguments.ratings) if arguments.ratings else ratings_data.generate()
    model = train(data, arguments.epochs)

    with tempfile.TemporaryDirectory(prefix="tf_hps_quickstart_") as folder:
        work = pathlib.Path(folder)
        pairs = inputs_of(data, slice(0, arguments.batch))
        write_pairs(work / "pairs.csv", pairs)

        print("\nExporting the model as it is")
        model.export(work / "before", verbose=False)

        print("Moving its tables into tiers, and exporting what is left with them beside it")
        served = tf_hps.swap_embeddings(model, store=work / "store", deployment="ratings")
        tf_hps.export(served, work / "first/place", verbose=False)
        dense = megabytes(work / "first/place") - megabytes(work / "first/place/assets.extra")

        print("Moving the export elsewhere, and deleting the store and the first folder")
        exported = work / "second/place"
        shutil.copytree(work / "first/place", exported)
        shutil.rmtree(work / "first")
        del served
        shutil.rmtree(work / "store")

        print("Serving both from C++\n")
        before, plain = serve(arguments.server, work / "before", work / "pairs.csv", None)
        after, tiered = serve(arguments.server, exported, work / "pairs.csv", OP_LIBRARY)

        print("user, movie, rating: predicted before and after")
        for i in range(min(5, len(before))):
            user, movie = pairs["user_id"][i], pairs["movie_id"][i]
            print(f"  {user:>6} {movie:>8} {data.rating[i]:>4}   {before[i]:.7f}   {after[i]:.7f}")
        in_keras = model.predict(pairs, batch_size=arguments.batch, verbose=0)[:, 0]
        print(f"largest difference of {len(before):,}: {np.abs(before - after).max()}")
        print(f"largest difference to Keras: {np.abs(in_keras - after).max():.2g}\n")
        print(
            f"SavedModel before: {megabytes(work / 'before'):.2f} MB, load {plain['load_seconds']:.2f} s"
        )
        print(f"SavedModel after:  {dense:.2f} MB, load {tiered['load_seconds']:.2f} s")
        print(f"tables beside it:  {megabytes(exported / 'assets.extra'):.2f} MB (RocksDB)\n")
        print_tables(tiered["tables"])
        print(f"\nlookups per second before: {plain['lookups_per_second']:,.0f}")
        print(f"lookups per second after:  {tiered['lookups_per_second']:,.0f}")


if __name__ == "__main__":
    main()
