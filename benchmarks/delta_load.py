"""Delta load: one percent of a table's rows, written over the generation that the rest is of.

`ratio` is the time of StoreWriter.write_delta over that of StoreWriter.write_table of all rows, generation
and opening the store included; at most 0.05 is wanted. The two are interleaved; the median counts.
"""

import os
import shutil
import statistics
import tempfile
import time

import _axes
import _measure
import numpy as np

from tf_hps.store import StoreWriter, from_arrays

# 2 GB in full.
SIZES = {"full": (8_000_000, 64), "medium": (2_000_000, 64), "small": (20_000, 16)}
SHARE = 0.01
ROUNDS = 5
# Deltas before the one that is timed, which takes along what they have; and where the base's files are.
CASES = ((0, "cached"), (4, "cached"), (0, "on disk"))


class Table:
    """Rows with even keys; what changes, what is new and what goes is spread over them."""

    def __init__(self, rows: int, dim: int):
        self.rows = rows
        self.dim = dim
        self._values = np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32)
        self._keys = 2 * np.arange(rows)
        self._changes = np.random.default_rng(1)

    def write(self, folder: str) -> str:
        with StoreWriter(folder) as writer:
            return writer.write_table("t", from_arrays(self._values, self._keys))

    def seconds_of_delta(self, folder: str, base: str) -> float:
        """Writes a delta and drops it again, which is not counted."""
        generation, seconds = self.delta(folder, base)
        with StoreWriter(folder) as writer:
            writer.drop_table("t", generation)
        return seconds

    def delta(self, folder: str, base: str) -> tuple[str, float]:
        """Writes a delta: eight parts of ten changed, one new, one erased; its generation and seconds."""
        count = int(SHARE * self.rows)
        chosen = self._changes.permutation(self.rows)[:count]
        keys = self._keys[chosen[: count - count // 10]]
        keys[: count // 10] += 1
        gone = self._keys[chosen[count - count // 10 :]]
        rows = self._changes.standard_normal((len(keys), self.dim), dtype=np.float32)
        started = time.monotonic()
        with StoreWriter(folder) as writer:
            generation = writer.write_delta("t", base, from_arrays(rows, keys), gone)
        return generation, time.monotonic() - started


def main() -> None:
    size = _axes.size(__doc__)
    report = _measure.Report(
        "delta_load", "a delta of 1 % of the rows", "its time over a full load's"
    )
    table = Table(*SIZES[size])
    with tempfile.TemporaryDirectory() as folder:
        base = os.path.join(folder, "base")
        root = table.write(base)
        former = [root]
        for _ in range(4):
            former.append(table.delta(base, former[-1])[0])
        full, again = [], []
        seconds: dict[tuple[int, str], list[float]] = {case: [] for case in CASES}
        for number in range(2 if size == "small" else ROUNDS):
            fresh = os.path.join(folder, f"full{number}")
            started = time.monotonic()
            table.write(fresh)
            full.append(time.monotonic() - started)
            shutil.rmtree(fresh)
            for chain, files in CASES:
                _place(base, files)
                seconds[chain, files].append(table.seconds_of_delta(base, former[chain]))
            _place(base, CASES[0][1])
            again.append(table.seconds_of_delta(base, root))
        noise = [one / other for one, other in zip(again, seconds[CASES[0]], strict=True)]
        for chain, files in CASES:
            ratios = [one / other for one, other in zip(seconds[chain, files], full, strict=True)]
            report.add(
                {"rows": table.rows, "dim": table.dim, "deltas before": chain, "base": files},
                "full load",
                ratio=statistics.median(ratios),
                lowest=min(ratios),
                highest=max(ratios),
                a_a=statistics.median(noise),
                delta_s=statistics.median(seconds[chain, files]),
                full_s=statistics.median(full),
            )
    report.finish()


def _place(folder: str, files: str) -> None:
    """RocksDB drops what it writes from the kernel's cache; what serves, or was read, is there."""
    for entry in os.scandir(folder):
        if not entry.name.endswith(".sst"):
            continue
        with open(entry.path, "rb", buffering=0) as file:
            if files == "on disk":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while file.read(16 << 20):
                    pass


if __name__ == "__main__":
    main()
