"""The tables' figures on a running server's metrics page."""

from __future__ import annotations

import dataclasses
import re
import urllib.request

METRICS_PATH = "/monitoring/prometheus/metrics"
_LINE = re.compile(r"^(:tf_hps:[\w:]+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Table = tuple[str, str, str]  # deployment, name, generation


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the page: `labels` are those beside the table's."""

    name: str
    table: Table
    labels: dict[str, str]
    value: float


def parse_figures(page: str) -> list[Figure]:
    """What the page has of tables, in its order; buckets of histograms left out."""
    figures = []
    for name, text, value in _LINE.findall(page):
        if name.endswith("_bucket"):
            continue
        labels = dict(_LABEL.findall(text))
        table = (labels.pop("deployment"), labels.pop("table"), labels.pop("generation"))
        figures.append(Figure(name, table, labels, float(value)))
    return figures


def read_figures(server: str) -> list[Figure]:
    """The figures of the server with the REST port `server` (HOST:PORT)."""
    address = f"http://{server}{METRICS_PATH}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        figures = parse_figures(answer.read().decode())
    if not figures:
        raise ValueError(f"{address} shows no tables of tf_hps: none is open there")
    return figures
