"""`tf-hps plan`: how large should the tier in memory be."""

import argparse

import numpy as np

from tf_hps.capacity import HitRateCurve, hit_rate_curve, server_tables, split_budget
from tf_hps.capacity.budget import OVERHEAD_BYTES
from tf_hps.metrics_reader import METRICS_PATH, read_figures

_SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "plan",
        help="hit rates against capacity, of a running server or from keys that were asked for",
        description="Say which share of lookups a bounded tier in memory would answer, by its capacity; and split a "
        "budget over the tables. A running server samples its lookups and has the rates on its metrics page, "
        f"{METRICS_PATH}; of a trace, they are computed here. They are those of an LRU cache; the default eviction "
        "does as well or better.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "server",
        nargs="?",
        metavar="HOST:PORT",
        help="a running server's REST port: its tables, with what they were asked for lately",
    )
    source.add_argument(
        "--trace",
        action="append",
        default=[],
        metavar="TABLE=FILE.npy",
        help="a table's keys, integers, in the order they were asked for; may be repeated",
    )
    parser.add_argument(
        "--row_bytes",
        action="append",
        default=[],
        metavar="TABLE=N",
        help="bytes of a stored row (default: what the server says; of a trace 256, 64 float32)",
    )
    parser.add_argument("--budget", type=float, metavar="BYTES", help="for all tables together")
    parser.add_argument("--plot", metavar="FILE", help="a picture of the curves (needs matplotlib)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    curves, row_bytes, remarks = (
        _of_server(options.server) if options.server else _of_traces(options.trace)
    )
    for name, value in (_named("--row_bytes", text) for text in options.row_bytes):
        if name not in curves or not value.isdecimal() or int(value) == 0:
            raise ValueError(
                f"--row_bytes is TABLE=N, of a table with a curve: {', '.join(curves)}. Received: {name}={value}"
            )
        row_bytes[name] = int(value)
    for name, curve in curves.items():
        _print_curve(name, curve, row_bytes[name] + OVERHEAD_BYTES)
        if name in remarks:
            print(remarks[name])
    if options.budget is not None:
        _print_split(curves, row_bytes, int(options.budget))
    if options.plot:
        _plot(curves, options.plot)
        print(f"The curves are in {options.plot}")
    return 0


def _of_traces(traces: list[str]) -> tuple[dict[str, HitRateCurve], dict[str, int], dict[str, str]]:
    paths = dict(_named("--trace", text) for text in traces)
    curves = {name: hit_rate_curve(np.load(path)) for name, path in paths.items()}
    return curves, dict.fromkeys(curves, 256), {}


def _of_server(server: str) -> tuple[dict[str, HitRateCurve], dict[str, int], dict[str, str]]:
    """Curves, bytes of rows, and a remark on each tier in memory that is bounded."""
    tables = server_tables(read_figures(server))
    if not tables:
        raise ValueError(f"{server} has no curves yet: its tables were hardly asked for")
    remarks = {
        name: f"  has room for {table.capacity_rows:,} now: {float(table.curve.at(table.capacity_rows)):.1%} "
        f"by the curve, {table.hit_rate:.1%} since it is open"
        for name, table in tables.items()
        if table.capacity_rows
    }
    curves = {name: table.curve for name, table in tables.items()}
    return curves, {name: table.row_bytes for name, table in tables.items()}, remarks


def _named(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{option} is TABLE=VALUE. Received: {text}")
    return name, value


def _print_curve(name: str, curve: HitRateCurve, per_row: int) -> None:
    print(f"{name}: {curve.lookups:,} lookups of about {curve.rows:,} rows")
    for share in _SHARES:
        rows = max(1, round(share * curve.rows))
        print(f"  {rows:>13,} rows {rows * per_row:>15,} bytes  {float(curve.at(rows)):6.1%} hits")


def _print_split(curves: dict[str, HitRateCurve], row_bytes: dict[str, int], budget: int) -> None:
    rows = split_budget(curves, row_bytes, budget)
    hits = sum(float(curves[name].at(rows[name])) * curves[name].lookups for name in curves)
    lookups = sum(curve.lookups for curve in curves.values())
    print(f"{budget:,} bytes split so that {hits / max(1, lookups):.1%} of all lookups hit:")
    for name, count in rows.items():
        used = count * (row_bytes[name] + OVERHEAD_BYTES)
        print(
            f"  {name}: memory.capacity_rows {count:,} ({used:,} bytes, "
            f"{float(curves[name].at(count)):.1%} hits)"
        )


def _plot(curves: dict[str, HitRateCurve], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, curve in curves.items():
        axes.plot(np.maximum(curve.capacities, 1), 100 * curve.hit_rates, label=name)
    axes.set(xscale="log", xlabel="rows in memory", ylabel="hits, % of lookups", ylim=(0, 100))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
