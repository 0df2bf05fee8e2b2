"""What a running server has seen of its tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from tf_hps.capacity.hit_rate_curve import HitRateCurve
from tf_hps.metrics_reader import Figure, Table

_CURVE = ":tf_hps:hits_per_million"


@dataclasses.dataclass(frozen=True)
class ServerTable:
    """A table's lookups, and its tier in memory.

    Args:
        curve: As the server's sampled lookups have it; its `lookups` are all that reached the host.
        row_bytes: Of a stored row.
        capacity_rows: Of the tier in memory; 0: not bounded, or there is none.
        hit_rate: Of the tier in memory since the server has the table.
    """

    curve: HitRateCurve
    row_bytes: int
    capacity_rows: int
    hit_rate: float


def server_tables(figures: Iterable[Figure]) -> dict[str, ServerTable]:
    """The tables that were asked for enough to have a curve.

    By name; where several have one (of two deployments, or two versions of a model), by
    deployment/name/generation.
    """
    curves: dict[Table, dict[int, float]] = {}
    values: dict[tuple[Table, str], float] = {}
    for figure in figures:
        if figure.name == _CURVE:
            points = curves.setdefault(figure.table, {})
            points[int(figure.labels["capacity_rows"])] = figure.value / 1e6
        elif figure.labels.get("tier", "memory") == "memory":
            values[figure.table, figure.name] = figure.value
    names = [name for _, name, _ in curves]
    tables = {}
    for table, points in curves.items():

        def value(name: str, table: Table = table) -> float:
            return values.get((table, name), 0.0)

        capacities = np.array(sorted(points), np.int64)
        hits, misses = value(":tf_hps:tier:hits"), value(":tf_hps:tier:misses")
        tables[table[1] if names.count(table[1]) == 1 else "/".join(table)] = ServerTable(
            HitRateCurve(
                capacities,
                np.array([points[capacity] for capacity in capacities.tolist()]),
                lookups=int(value(":tf_hps:keys")),
                rows=int(capacities[-1]),
            ),
            row_bytes=int(value(":tf_hps:row_bytes")),
            capacity_rows=int(value(":tf_hps:tier:capacity_rows")),
            hit_rate=hits / (hits + misses) if hits + misses else 0.0,
        )
    return tables
