"""Memory and latency while the next version of a model is loaded beside the one that answers.

The next version has the same rows: with tables it attaches to those that are open, with dense variables it brings its own. Each
server is a process of its own; the two take turns.
"""

import contextlib
import pathlib
import statistics
import tempfile

import _axes
import _measure
import _models
import _reloading_server
import numpy as np

from tf_hps.replay.child_process import ChildProcess
from tf_hps.replay.memory import resident_bytes

SIZES = {"full": (8_000_000, 64), "medium": (2_000_000, 64), "small": (20_000, 16)}
SECONDS = {"full": 4.0, "medium": 2.0, "small": 0.2}
RELOADS = {"full": 7, "medium": 5, "small": 1}


class Observed:
    """A server, and what was seen of it: MiB at the most and latencies, window by window."""

    def __init__(self, name, stack, folder, model, rows):
        self.name = name
        self.folder, self.model = folder, model
        self.peaks = {"before": [], "again": [], "while": []}
        self.latencies = {"before": [], "again": [], "while": []}
        child = ChildProcess([_reloading_server.__file__], name)
        self.child = stack.enter_context(contextlib.closing(child))
        self.child.ask("start", self._folder_of(1), rows)
        # Kernels are made at the first calls, and allocators find their size.
        self.child.ask("steady", 0.2)

    def _folder_of(self, version):
        path = self.folder / str(version)
        if not path.exists():
            _models.as_version(self.model, path)
        return str(path)

    def reload(self, version, seconds):
        former, following = self._folder_of(version - 1), self._folder_of(version)
        for window in ("before", "again"):
            self._watch(window, "steady", seconds)
        before = self.child.ask("lookups", former)
        self._watch("while", "reload", following)
        # The table that answered before is the one that answers now.
        now = self.child.ask("lookups", following)
        assert all(a > b for a, b in zip(now, before, strict=True)), (before, now)

    def _watch(self, window, *question):
        """Asks, and looks at the process's memory until the answer comes."""
        peak = 0
        self.child.tell(*question)
        while not self.child.heard(0.002):
            peak = max(peak, resident_bytes(self.child.pid))
        self.latencies[window].append(np.array(self.child.hear()) * 1e3)
        self.peaks[window].append(peak / (1 << 20))

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


def main() -> None:
    size = _axes.size(__doc__)
    rows, embedding_dim = SIZES[size]
    report = _measure.Report(
        "reload", "a version that stays", "while the next version is loaded, over before"
    )
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        models = _models.save(folder, [rows], embedding_dim)
        servers = []
        for kind, model in models.items():
            servers.append(Observed(kind, stack, folder / f"{kind}_server", model, rows))
        for version in range(2, 2 + RELOADS[size]):
            for server in servers:
                server.reload(version, SECONDS[size])
        for server in servers:
            requests = sum(len(one) for one in server.latencies["while"])
            print(f"{server.name}: {requests:,} requests while a version was loaded", flush=True)
            server.report(report, rows, embedding_dim)
    report.finish()


if __name__ == "__main__":
    main()
