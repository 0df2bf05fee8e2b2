"""What a replay found."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from tf_hps.aligned_columns import aligned

# More lines than that are read by nobody; all of them are in the JSON.
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class ModelFigures:
    """A model in its process. Bytes are those that it added to a process with TensorFlow in it."""

    path: str
    load_seconds: float
    bytes: int
    peak_bytes: int


@dataclasses.dataclass(frozen=True)
class Times:
    """Milliseconds of one request's calls."""

    median_ms: float
    p99_ms: float


@dataclasses.dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, with the lowest and the highest."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two answers differ.

    Attributes:
        values: How many of their values are not the same; NaN is the same as NaN.
        of: How many there are.
        largest: The largest difference of two numbers.
        is_random: The model that is compared with does not answer alike twice.
    """

    values: int = 0
    of: int = 0
    largest: float = 0.0
    is_random: bool = False

    def __str__(self) -> str:
        if self.is_random:
            return "random"
        return (
            "equal" if self.values == 0 else f"{self.values} of {self.of}, up to {self.largest:.2g}"
        )


@dataclasses.dataclass(frozen=True)
class RequestFigures:
    """One request; what has `against` in its name is None when one model is replayed alone.

    Attributes:
        number: Its place in the file, from 1 on; 0 stands for all together.
        inputs: The shapes of its inputs.
        ratio: Time of the model that is compared with over that of the other.
        a_a: The same of one model over itself, which without noise is 1.
    """

    number: int
    signature: str
    inputs: dict[str, list[int]]
    times: Times
    against: Times | None
    ratio: Ratio | None
    a_a: Ratio
    difference: Difference | None


@dataclasses.dataclass(frozen=True)
class ReplayReport:
    """What `replay` found; `str` is a table of it.

    Attributes:
        requests_file: Where the requests came from.
        left_out: Why requests were not replayed, and how many.
        rounds: Both models take turns, that often.
        calls: Calls of each request, in all rounds.
        saved_model: The model that is looked at.
        against: The one that it is compared with.
        all: All requests together.
        requests: Each of them.
    """

    requests_file: str
    left_out: dict[str, int]
    rounds: int
    calls: int
    saved_model: ModelFigures
    against: ModelFigures | None
    all: RequestFigures
    requests: tuple[RequestFigures, ...]

    def to_json(self) -> str:
        """All figures; a difference that is no number is null."""
        return json.dumps(_finite(dataclasses.asdict(self)), indent=1)

    def __str__(self) -> str:
        one = len(self.requests) == 1
        lines = [
            f"{len(self.requests):,} request{'' if one else 's'} of {self.requests_file}, "
            f"{self.calls:,} calls each in {self.rounds} rounds"
        ]
        lines += [f"left out ({why}): {count:,}" for why, count in self.left_out.items()]
        lines += ["", *self._models(), "", *self._times()]
        return "\n".join(lines)

    def _models(self) -> list[str]:
        rows: list[tuple[str, ...]] = [("model", "load s", "memory MiB", "at most MiB")]
        for model in filter(None, (self.saved_model, self.against)):
            mib = (f"{bytes / (1 << 20):,.1f}" for bytes in (model.bytes, model.peak_bytes))
            rows.append((model.path, f"{model.load_seconds:.2f}", *mib))
        return aligned(rows)

    def _times(self) -> list[str]:
        compared = self.against is not None
        header = ["request", "signature", "inputs", "median ms", "p99 ms"]
        header += ["against", "p99 ms", "ratio"] if compared else []
        header += ["A/A"]
        header += ["outputs"] if compared else []
        shown = self.requests[:_SHOWN]
        rows = [tuple(header), *(_row(figures) for figures in shown)]
        if len(self.requests) > 1:
            rows.append(_row(self.all))
        lines = aligned(rows)
        if hidden := len(self.requests) - len(shown):
            lines.insert(-1, f"... and {hidden:,} more, see --json")
        if compared:
            lines.append("")
            lines.append(
                "ratio: time of the model under --against over the other's, median (lowest to highest) of the "
                "rounds; above 1 the other is faster."
            )
        lines.append("A/A: the same of one model and itself. Memory: beyond TensorFlow's own.")
        return lines


def _row(figures: RequestFigures) -> tuple[str, ...]:
    inputs = ", ".join(f"{name} {shape}" for name, shape in figures.inputs.items())
    row = [str(figures.number or "all"), figures.signature, inputs, *_cells(figures.times)]
    if figures.against is not None:
        row += [*_cells(figures.against), str(figures.ratio)]
    row.append(str(figures.a_a))
    if figures.difference is not None:
        row.append(str(figures.difference))
    return tuple(row)


def _cells(times: Times) -> tuple[str, str]:
    return f"{times.median_ms:.3f}", f"{times.p99_ms:.3f}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
