"""A server in a process of its own, and what is seen of it from outside while versions come and go."""

import contextlib
import statistics

import _models
import _reloading_server
import numpy as np

from tf_hps.replay.child_process import ChildProcess
from tf_hps.replay.memory import resident_bytes


def peak_until_heard(child):
    """MiB that a process has at the most until its answer is there."""
    peak = 0
    while not child.heard(0.002):
        peak = max(peak, resident_bytes(child.pid))
    return peak / (1 << 20)


class Observed:
    """A server, and what was seen of it: MiB at the most and latencies, window by window."""

    def __init__(self, name, stack, folder, models, rows, distribution="uniform"):
        self.name = name
        self.folder, self.models = folder, models
        self.peaks = {"before": [], "again": [], "while": []}
        self.latencies = {"before": [], "again": [], "while": []}
        child = ChildProcess([_reloading_server.__file__], name)
        self.child = stack.enter_context(contextlib.closing(child))
        self.child.ask("start", self.folder_of(1), rows, distribution)
        # Kernels are made at the first calls, and allocators find their size.
        self.child.ask("steady", 0.2)

    def folder_of(self, version):
        path = self.folder / str(version)
        if not path.exists():
            _models.as_version(self.models[version % len(self.models)], path)
        return str(path)

    def reload(self, version, seconds, settling=0.0):
        for window in ("before", "again"):
            self._watch(window, "steady", seconds)
        self._watch("while", "reload", self.folder_of(version), settling)

    def hit_rate(self, version, seconds):
        """The share of ids that memory answers."""
        before = self.stats(version)
        self.child.ask("steady", seconds)
        after = self.stats(version)
        hits, misses = (
            sum(one["tiers"][0][what] for one in after)
            - sum(one["tiers"][0][what] for one in before)
            for what in ("hits", "misses")
        )
        return hits / (hits + misses)

    def stats(self, version):
        return self.child.ask("stats", self.folder_of(version))

    def _watch(self, window, *question):
        """Asks, and looks at the process's memory until the answer comes."""
        self.child.tell(*question)
        self.peaks[window].append(peak_until_heard(self.child))
        self.latencies[window].append(np.array(self.child.hear()) * 1e3)

    def report(self, report, rows, embedding_dim):
        case = {"model": self.name, "rows": f"{rows // 1000}k x {embedding_dim}"}
        p99s = {
            window: [float(np.percentile(one, 99)) for one in found]
            for window, found in self.latencies.items()
        }
        # TensorFlow keeps what a version took: from the second time on nothing is asked of the system.
        first = {**self.peaks, "before": self.peaks["before"][:1] * len(self.peaks["before"])}
        for what, found in (("memory, MiB", first), ("p99, ms", p99s)):
            ratios = [a / b for a, b in zip(found["while"], found["before"], strict=True)]
            again = [a / b for a, b in zip(found["again"], found["before"], strict=True)]
            report.add_row(
                {
                    **case,
                    "what": what,
                    "ratio": statistics.median(ratios),
                    "lowest": min(ratios),
                    "highest": max(ratios),
                    "a_a": again[0] if found is first else statistics.median(again),
                    "before": statistics.median(found["before"]),
                    "while": statistics.median(found["while"]),
                }
            )
