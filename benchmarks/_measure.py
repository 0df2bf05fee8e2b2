"""Interleaved timing of peers, and the table it ends in."""

import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping


def interleave(
    peers: Mapping[str, Callable[[], object]], rounds: int, calls: int
) -> dict[str, list[float]]:
    """Seconds a call of each peer, one figure a round.

    Every round runs every peer, each round in another order, so that what the machine does meanwhile
    falls on all of them.
    """
    names = list(peers)
    for name in names:
        peers[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(rounds):
        turn = round_number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            for _ in range(calls):
                peers[name]()
            seconds[name].append((time.perf_counter() - started) / calls)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of the ratios round by round."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def machine() -> str:
    """The processor's name and the cores this process may use."""
    name = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def save(name: str, results: list[dict[str, object]]) -> None:
    """Writes build/benchmarks/NAME.json, beside which the next run may be laid."""
    folder = pathlib.Path("build/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    print(f"{machine()}; written to {path}")
