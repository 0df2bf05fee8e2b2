"""Offline load: rows of a Keras variable into a RocksDB store.

Prints rows/s of StoreWriter.write_table, and of a bare loop over rocksdict's SstFileWriter, which is
what Python has without tf_hps._rocksdb: a call a row, on one core. The two are interleaved; the median counts.
"""

import collections
import itertools
import os
import resource
import shutil
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import _axes
import _measure
import keras
import numpy as np
import rocksdict

from tf_hps.store import StoreWriter, database
from tf_hps.store.keras_source import from_keras


def main() -> None:
    axes = _axes.arguments(__doc__)
    report = _measure.Report("offline_load", "StoreWriter.write_table from a Keras variable")
    variable = keras.Variable(
        lambda shape, dtype: keras.random.normal(shape, dtype=dtype, seed=1),
        shape=(axes.rows, axes.embedding_dim),
        dtype="float32",
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        for row_format in ("float32", "int8"):
            report.compare(
                {"row_format": row_format, "rows": axes.rows, "dim": axes.embedding_dim},
                lambda fmt=row_format: load(f"{folder}/{next(numbers)}", variable, fmt),
                {"bare SstFileWriter": lambda: write_bare(f"{folder}/{next(numbers)}", variable)},
                min(axes.rounds, 3),
                1,
                axes.rows,
            )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory above the variable's, bare loop included: {grown:.0f} MiB")
    report.finish()


def load(folder: str, variable: Any, row_format: str) -> None:
    with StoreWriter(folder) as writer:
        writer.write_table("t", from_keras(variable), row_format)
    shutil.rmtree(folder)


def write_bare(folder: str, variable: Any) -> None:
    os.mkdir(folder)
    writer = rocksdict.SstFileWriter(database.make_options())
    writer.open(os.path.join(folder, "bare.sst"))
    for keys, rows in from_keras(variable):
        values = rows.view(f"V{rows[0].nbytes}").reshape(-1).tolist()
        encoded = (keys.view(np.uint64) ^ np.uint64(1 << 63)).astype(">u8").view("V8").tolist()
        collections.deque(map(writer.__setitem__, encoded, values), maxlen=0)
    writer.finish()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
