"""Memory and latency while the next version of a model is loaded beside the one that answers.

The next version has the same rows: with tables it attaches to those that are open, with dense variables it brings its own. Each
server is a process of its own; the two take turns.
"""

import contextlib
import pathlib
import tempfile

import _axes
import _measure
import _models
from _observed_server import Observed

SIZES = {"full": (8_000_000, 64), "medium": (2_000_000, 64), "small": (20_000, 16)}
SECONDS = {"full": 4.0, "medium": 2.0, "small": 0.2}
RELOADS = {"full": 7, "medium": 5, "small": 1}


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
            servers.append(Observed(kind, stack, folder / f"{kind}_server", [model], rows))
        for version in range(2, 2 + RELOADS[size]):
            for server in servers:
                before = server.stats(version - 1)
                server.reload(version, SECONDS[size])
                # The table that answered before is the one that answers now.
                for former, now in zip(before, server.stats(version), strict=True):
                    assert now["lookups"] > former["lookups"]
        for server in servers:
            requests = sum(len(one) for one in server.latencies["while"])
            print(f"{server.name}: {requests:,} requests while a version was loaded", flush=True)
            server.report(report, rows, embedding_dim)
    report.finish()


if __name__ == "__main__":
    main()
