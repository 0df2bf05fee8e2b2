"""Offline load: rows of a Keras variable into a RocksDB store.

Prints rows/s of StoreWriter.write_table, and of a bare loop over rocksdict's SstFileWriter, which is
what it is built on: a call a row, on one core. The two are interleaved; the median counts.
"""

import argparse
import collections
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import rocksdict

from tf_hps.store import StoreWriter, database, formats
from tf_hps.store.keras_source import from_keras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--embedding_dim", type=int, default=64)
    parser.add_argument("--row_format", default="float32")
    parser.add_argument("--compression", default="none", choices=database.COMPRESSIONS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", help="where the store is made (default: the temporary folder)")
    options = parser.parse_args()

    variable = keras.Variable(
        lambda shape, dtype: keras.random.normal(shape, dtype=dtype, seed=1),
        shape=(options.rows, options.embedding_dim),
        dtype="float32",
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loads, bare = [], []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            loads.append(options.rows / seconds(lambda: load(folder, variable, options)))
            bare.append(options.rows / seconds(lambda: write_bare(folder, variable)))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"write_table: {statistics.median(loads):,.0f} rows/s, generation included; "
        f"{options.rows:,} rows of {options.embedding_dim} floats as {options.row_format}\n"
        f"bare SstFileWriter: {statistics.median(bare):,.0f} rows/s\n"
        f"ratio: {statistics.median(a / b for a, b in zip(loads, bare, strict=True)):.2f}\n"
        f"memory above the variable's, bare loop included: {grown:.0f} MiB"
    )


def load(folder: str, variable: Any, options: argparse.Namespace) -> None:
    with StoreWriter(os.path.join(folder, "store"), options.compression) as writer:
        writer.write_table("t", from_keras(variable), options.row_format)


def write_bare(folder: str, variable: Any) -> None:
    writer = rocksdict.SstFileWriter(database.make_options())
    writer.open(os.path.join(folder, "bare.sst"))
    for keys, rows in from_keras(variable):
        values = rows.view(f"V{rows[0].nbytes}").reshape(-1).tolist()
        encoded = formats.encode_keys(keys).tolist()
        collections.deque(map(writer.__setitem__, encoded, values), maxlen=0)
    writer.finish()


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
