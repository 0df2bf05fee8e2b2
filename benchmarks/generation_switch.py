"""Memory, latency and hits while a version with other rows takes over from the one that answers.

The next version is a retrained model: every row differs. Tables have a budget of memory, what one version needs, which two
versions share while both are open; dense variables are in memory twice. Each server is a process of its own; the two take
turns.
"""

import contextlib
import os
import pathlib
import statistics
import tempfile

import _axes
import _measure
import _models
from _observed_server import Observed

SIZES = {"full": (8_000_000, 64), "medium": (2_000_000, 64), "small": (20_000, 16)}
SECONDS = {"full": 4.0, "medium": 2.0, "small": 0.2}
SWITCHES = {"full": 3, "medium": 5, "small": 1}
SETTLING = 60.0  # seconds at most
DISTRIBUTION = "zipf 1.05"


def main() -> None:
    size = _axes.size(__doc__)
    rows, embedding_dim = SIZES[size]
    report = _measure.Report(
        "generation_switch",
        "a version that stays",
        "while one with other rows takes over, over before",
    )
    os.environ["TF_HPS_MEMORY_CAPACITY_ROWS"] = str(rows)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        versions = []
        for seed in (2, 3):
            of_seed = folder / str(seed)
            of_seed.mkdir()
            versions.append(_models.save(of_seed, [rows], embedding_dim, seed))
        servers = {}
        for kind in versions[0]:
            models = [version[kind] for version in versions]
            servers[kind] = Observed(
                kind, stack, folder / f"{kind}_server", models, rows, DISTRIBUTION
            )
        hits = []
        for version in range(2, 2 + SWITCHES[size]):
            former_hits = servers["tables"].hit_rate(version - 1, SECONDS[size])
            for server in servers.values():
                server.reload(version, SECONDS[size], SETTLING)
            hits.append(servers["tables"].hit_rate(version, SECONDS[size]) / former_hits)
        for server in servers.values():
            server.report(report, rows, embedding_dim)
        report.add_row(
            {
                "model": "tables",
                "rows": f"{rows // 1000}k x {embedding_dim}",
                "what": "hits of the next version, of the former one's",
                "ratio": statistics.median(hits),
                "lowest": min(hits),
                "highest": max(hits),
            }
        )
    report.finish()


if __name__ == "__main__":
    main()
