"""Times and differences of a replay, reduced to figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_hps._serving_api import signature_of
from tf_hps.replay.report import Difference, Ratio, RequestFigures, Times

# Seconds: [request][call].
Round = list[list[float]]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """The rounds of the model that is looked at, of its peer (itself, where there is none), and of the peer again."""

    ours: list[Round]
    peer: list[Round]
    again: list[Round]


def summarize(
    requests: Sequence[Any], rounds: Rounds, differences: Sequence[Difference] | None
) -> tuple[tuple[RequestFigures, ...], RequestFigures]:
    """The figures of each request, and of all together.

    Args:
        requests: The PredictRequests.
        rounds: Their times.
        differences: Of their answers; None where one model was replayed alone.
    """
    each = tuple(
        _figures(
            i + 1,
            signature_of(request),
            {
                name: [dim.size for dim in request.inputs[name].tensor_shape.dim]
                for name in sorted(request.inputs)
            },
            Rounds(*(_only(one, i) for one in (rounds.ours, rounds.peer, rounds.again))),
            None if differences is None else differences[i],
        )
        for i, request in enumerate(requests)
    )
    together = None
    if differences is not None:
        together = Difference(
            sum(one.values for one in differences),
            sum(one.of for one in differences),
            max(one.largest for one in differences),
            all(one.is_random for one in differences),
        )
    return each, _figures(0, "", {}, rounds, together)


def difference(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], place: str
) -> Difference:
    """How two answers differ; a ValueError where they cannot be compared.

    Args:
        ours: One, by the names of the outputs.
        theirs: The other.
        place: Which request this is, for the message.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"{place} has the outputs {', '.join(sorted(ours))} in one model and "
            f"{', '.join(sorted(theirs))} in the other"
        )
    values, of, largest = 0, 0, 0.0
    for name in sorted(ours):
        one, other = np.asarray(ours[name]), np.asarray(theirs[name])
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            raise ValueError(
                f"{place}: the output {name!r} is {_described(one)} in one model and "
                f"{_described(other)} in the other"
            )
        same = np.asarray(one == other)
        dtype = tf.as_dtype(one.dtype)
        if dtype.is_floating or dtype.is_integer:
            numbers = [value.astype(np.float64) for value in (one, other)]
            same |= np.isnan(numbers[0]) & np.isnan(numbers[1])
            apart = np.abs(numbers[0][~same] - numbers[1][~same])
            # NaN on one side only: no number says how far.
            largest = max(
                largest, float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))
            )
        values += int(one.size - np.count_nonzero(same))
        of += one.size
    return Difference(values, of, largest)


def _figures(
    number: int,
    signature: str,
    inputs: dict[str, list[int]],
    rounds: Rounds,
    difference: Difference | None,
) -> RequestFigures:
    alone = difference is None
    return RequestFigures(
        number=number,
        signature=signature,
        inputs=inputs,
        times=_times(rounds.ours),
        against=None if alone else _times(rounds.peer),
        ratio=None if alone else _ratio(rounds.peer, rounds.ours),
        a_a=_ratio(rounds.peer, rounds.again),
        difference=difference,
    )


def _times(rounds: list[Round]) -> Times:
    calls = np.concatenate([np.ravel(one) for one in rounds]) * 1e3
    return Times(float(np.median(calls)), float(np.percentile(calls, 99)))


def _ratio(slower: list[Round], faster: list[Round]) -> Ratio:
    ratios = [_middle(a) / _middle(b) for a, b in zip(slower, faster, strict=True)]
    return Ratio(float(np.median(ratios)), min(ratios), max(ratios))


def _middle(one: Round) -> float:
    """A round's time: the median call of each request, all requests together."""
    return float(np.median(one, axis=1).sum())


def _only(rounds: list[Round], request: int) -> list[Round]:
    return [[one[request]] for one in rounds]


def _described(value: np.ndarray) -> str:
    return f"{tf.as_dtype(value.dtype).name} {value.shape}"
