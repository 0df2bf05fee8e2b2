"""`tf-hps top`: what a running server's tables do."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator

from tf_hps.aligned_columns import aligned
from tf_hps.metrics_reader import METRICS_PATH, Figure, Table, read_figures

_HEALTH = ("ok", "degraded", "failing")
_COLUMNS = (
    "table",
    "health",
    "ids/s",
    "default",
    "tier",
    "hits",
    "rows",
    "bytes",
    "mean us",
    "errors",
)


@dataclasses.dataclass
class Sample:
    """One page of metrics: values by metric, table and tier (empty for the table's own)."""

    time: float
    values: dict[tuple[str, Table, str], float]

    def get(self, name: str, table: Table, tier: str = "") -> float:
        return self.values.get((name, table, tier), 0.0)

    def tables(self) -> list[Table]:
        return sorted({table for name, table, _ in self.values if name == ":tf_hps:health"})

    def tiers(self, table: Table) -> list[str]:
        """In the order the page has them, which is the order they are asked in."""
        return [tier for name, t, tier in self.values if name == ":tf_hps:tier:hits" and t == table]


def sample(figures: Iterable[Figure], now: float) -> Sample:
    return Sample(
        now,
        {
            (figure.name, figure.table, figure.labels.get("tier", "")): figure.value
            for figure in figures
        },
    )


def lines(before: Sample, after: Sample) -> Iterator[tuple[str, ...]]:
    """The view's lines: what happened between two samples."""
    seconds = max(after.time - before.time, 1e-9)
    for table in after.tables():

        def grown(name: str, tier: str = "", table: Table = table) -> float:
            return after.get(name, table, tier) - before.get(name, table, tier)

        keys = grown(":tf_hps:keys")
        default = _share(grown(":tf_hps:default_rows"), keys)
        health = _HEALTH[int(after.get(":tf_hps:health", table))]
        first = (table[1], health, f"{keys / seconds:,.0f}", default)
        for tier in after.tiers(table):
            hits = grown(":tf_hps:tier:hits", tier)
            calls = grown(":tf_hps:tier:latency_usecs_count", tier)
            spent = grown(":tf_hps:tier:latency_usecs_sum", tier)
            yield (
                *first,
                tier,
                _share(hits, keys),
                f"{after.get(':tf_hps:tier:rows', table, tier):,.0f}",
                f"{after.get(':tf_hps:tier:bytes', table, tier):,.0f}",
                f"{spent / calls:,.1f}" if calls else "",
                f"{grown(':tf_hps:tier:find_errors', tier):,.0f}",
            )
            first = ("", "", "", "")


def view(before: Sample, after: Sample) -> str:
    return "\n".join(aligned([_COLUMNS, *lines(before, after)]))


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "top",
        help="show what the tables of a running server do",
        description="Show rates and hits of a running server's tables, tier by tier, from its metrics page: "
        f"ModelServer's with monitoring switched on, or `tf-hps serve --rest_port`. Both have it at {METRICS_PATH}.",
    )
    parser.add_argument("server", metavar="HOST:PORT", help="the server's REST port")
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        metavar="S",
        help="between two views (default: %(default)s)",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=0,
        metavar="N",
        help="views to show (default: until interrupted)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.seconds <= 0:
        raise ValueError(f"--seconds is positive. Received: {options.seconds}")
    before = sample(read_figures(options.server), time.monotonic())
    shown = 0
    while options.count == 0 or shown < options.count:
        time.sleep(options.seconds)
        after = sample(read_figures(options.server), time.monotonic())
        # On a terminal each view takes the place of the one before.
        print(("\033[2J\033[H" if sys.stdout.isatty() else "") + view(before, after), flush=True)
        before, shown = after, shown + 1
    return 0


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""
