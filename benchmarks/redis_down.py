"""Lookups that RocksDB answers while Redis is down, against a table without a Redis tier: their p99."""

import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))

from _axes import arguments, draw_ids
from _measure import Report
from redis_server import free_port, port_of, redis_server

import tf_hps
from tf_hps.store import StoreWriter, from_arrays

EMBEDDING_DIM = 64


def percentile(lookup: Callable[[], object], calls: int) -> float:
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        lookup()
        seconds.append(time.perf_counter() - started)
    return float(np.percentile(seconds, 99))


def main() -> None:
    axes = arguments(__doc__)
    rows = min(axes.rows, 500_000)
    is_small = rows < 100_000
    report = Report(
        "redis_down",
        "the table without Redis",
        meaning="p99 with a Redis tier that is down, over that without one",
    )
    values = np.random.default_rng(1).random((rows, EMBEDDING_DIM), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter(f"{folder}/store") as writer:
            writer.write_table("movie_id", from_arrays(values))

        def open_table(deployment: str, port: int | None) -> tf_hps.Table:
            tiers = {}
            if port is not None:
                tiers["redis"] = tf_hps.RedisConfig(f"redis://127.0.0.1:{port}", timeout_ms=1000)
            config = tf_hps.Config(
                deployment=deployment,
                rocksdb=tf_hps.RocksdbConfig(path=f"{folder}/store", read_only=True),
                tables={"movie_id": tf_hps.TableConfig()},
                **tiers,
            )
            return tf_hps.Table("movie_id", config)

        without = open_table("without", None)
        # One that dies while it is in use, and one that was never there.
        with redis_server(Path(folder)) as server:
            died = open_table("died", port_of(server))
            tf_hps.embedding_lookup(died, np.arange(100))
        absent = open_table("absent", free_port())
        tables = {"died": died, "was never there": absent}
        for batch in (32, 1024):
            batches = [draw_ids("uniform", rows, batch, seed) for seed in range(50)]
            turn = {"next": 0}

            def lookup(table: tf_hps.Table, batches=batches, turn=turn) -> None:
                turn["next"] = (turn["next"] + 1) % len(batches)
                tf_hps.embedding_lookup(table, batches[turn["next"]])

            for table in (without, *tables.values()):
                for _ in range(10):  # the breaker opens
                    lookup(table)
            calls = 20 if is_small else 1000 if batch == 32 else 150
            for name, table in tables.items():
                # In turns: what the machine does meanwhile falls on all three.
                peers = {"without": without, "ours": table, "again": without}
                found: dict[str, list[float]] = {peer: [] for peer in peers}
                for round_number in range(axes.rounds):
                    names = list(peers)
                    first = round_number % len(names)
                    for peer in names[first:] + names[:first]:
                        found[peer].append(
                            percentile(functools.partial(lookup, peers[peer]), calls)
                        )
                pairs = zip(found["ours"], found["without"], strict=True)
                ratios = [ours / alone for ours, alone in pairs]
                again = zip(found["again"], found["without"], strict=True)
                report.add(
                    {"batch": batch},
                    f"Redis {name}",
                    ratio=statistics.median(ratios),
                    lowest=min(ratios),
                    highest=max(ratios),
                    a_a=statistics.median(a / b for a, b in again),
                    p99_ms=statistics.median(found["ours"]) * 1e3,
                    without_ms=statistics.median(found["without"]) * 1e3,
                )
            for table in tables.values():
                breaker = table.stats()["tiers"][0]["servers"][0]["breaker"]
                assert breaker != "closed", breaker
    report.finish()


if __name__ == "__main__":
    main()
