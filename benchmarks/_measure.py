"""Interleaved timing of peers, and the table, the JSON file and the plot it ends in."""

import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

FOLDER = pathlib.Path("build/benchmarks")
MEANING = "peer's time over ours"


class Report:
    """The figures of one benchmark: a row for each case and peer.

    A figure is the median over the rounds of the peer's time over ours: above 1 ours is faster. a_a is
    the same of the first peer over itself, run as if it were another one: what the noise makes of 1.
    `meaning`: what else a ratio is.
    """

    def __init__(self, name: str, ours: str, meaning: str = MEANING):
        self._name = name
        self._ours = ours
        self._meaning = meaning
        self._results: list[dict[str, Any]] = []

    def compare(
        self,
        case: Mapping[str, object],
        ours: Callable[[], object],
        peers: Mapping[str, Callable[[], object]],
        rounds: int,
        calls: int,
        items: int,
    ) -> None:
        """Times all and prints a row for each peer. `items`: what one call handles, for the rate."""
        first = next(iter(peers.values()))
        seconds = _interleave({"ours": ours, **peers, "again": first}, rounds, calls)
        noise = _ratio(seconds[next(iter(peers))], seconds["again"])
        for peer in peers:
            median, low, high = _ratio(seconds[peer], seconds["ours"])
            self.add(
                case,
                peer,
                ratio=median,
                lowest=low,
                highest=high,
                a_a=noise[0],
                million_per_s=items / statistics.median(seconds["ours"]) / 1e6,
                peer_million_per_s=items / statistics.median(seconds[peer]) / 1e6,
            )

    def add(self, case: Mapping[str, object], peer: str, **figures: float) -> None:
        self.add_row({**case, "peer": peer, **figures})

    def add_row(self, result: dict[str, Any]) -> None:
        """A row with a `ratio`. Floats are figures, the rest says of what."""
        if not self._results:
            print(f"{machine()}; against {self._ours}", flush=True)
            print("  ".join(f"{name:>12}" for name in result), flush=True)
        self._results.append(result)
        print("  ".join(f"{_text(value):>12}" for value in result.values()), flush=True)

    def finish(self) -> None:
        """Writes build/benchmarks/NAME.json and NAME.png."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        document = {
            "machine": machine(),
            "ours": self._ours,
            "ratio": self._meaning,
            "results": self._results,
        }
        (FOLDER / f"{self._name}.json").write_text(json.dumps(document, indent=1) + "\n")
        plot(self._name, self._ours, self._results, self._meaning)
        print(f"written: {FOLDER / self._name}.json and .png")


def plot(name: str, ours: str, results: list[dict[str, Any]], meaning: str = MEANING) -> None:
    """A line for each case and peer: the ratio, from the lowest round to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels = [
        ", ".join(str(value) for value in result.values() if not isinstance(value, float))
        for result in results
    ]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.28 * len(results)), layout="constrained")
    for y, result in enumerate(results):
        if "lowest" in result:
            axes.plot([result["lowest"], result["highest"]], [y, y], color="#9db4c8", linewidth=4)
        if "a_a" in result:
            axes.plot(result["a_a"], y, marker="|", color="#888888", markersize=9)
        axes.plot(result["ratio"], y, marker="o", color="#1f5f8b", markersize=5)
        axes.annotate(
            f"{result['ratio']:.2f}",
            (result["ratio"], y),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    axes.axvline(1, color="#b03a2e", linewidth=1)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    if max(result["ratio"] for result in results) > 5:
        axes.set_xscale("log")
    axes.set_xlabel(f"{meaning}: median (dot), rounds (bar), A/A (tick)", fontsize=8)
    axes.set_title(f"{name}: {ours}", fontsize=10)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(FOLDER / f"{name}.png", dpi=120)
    pyplot.close(figure)


def machine() -> str:
    """The processor's name and the cores this process may use."""
    name = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def _interleave(
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


def _ratio(slower: list[float], faster: list[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of the ratios round by round."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
