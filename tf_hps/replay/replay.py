"""Replays requests on one SavedModel or on two, in turns."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import tensorflow as tf

from tf_hps.replay import figures
from tf_hps.replay.checked_requests import CheckedRequests, check_requests
from tf_hps.replay.child_process import ChildProcess
from tf_hps.replay.report import Difference, ModelFigures, ReplayReport

_PROGRAM = ("-m", "tf_hps.replay.model_process")
_ROUNDS = 15
_MOST_CALLS = 200  # of a request in a round


def replay(
    saved_model: str | os.PathLike[str],
    against: str | os.PathLike[str] | None = None,
    requests: str | os.PathLike[str] | None = None,
    seconds: float = 30.0,
    max_requests: int = 1000,
) -> ReplayReport:
    """Replays requests on a SavedModel and on the one that it was made from, and compares them.

    Each model runs in a process of its own, loaded as a server loads it, with its preload at its end. They take turns, so
    that what the machine does meanwhile falls on both.

    Args:
        saved_model: The SavedModel that is looked at.
        against: The one that it is compared with. Defaults to none: the times of one model alone.
        requests: A file of TFRecords, each a PredictionLog or a PredictRequest. Defaults to the warm-up requests of
            `saved_model`, or of `against`.
        seconds: How long to go on, roughly; every request is answered 15 times at the least.
        max_requests: How many of the file's requests are taken.
    """
    if seconds <= 0:
        raise ValueError(f"`seconds` is positive. Received: seconds={seconds}")
    if max_requests < 1:
        raise ValueError(f"`max_requests` is positive. Received: max_requests={max_requests}")
    paths = [os.fspath(path) for path in (saved_model, against) if path is not None]
    for path in paths:
        if not tf.saved_model.contains_saved_model(path):
            raise FileNotFoundError(f"{path} is no SavedModel: it has no saved_model.pb")
    checked = check_requests(paths, None if requests is None else os.fspath(requests), max_requests)
    with contextlib.ExitStack() as stack:
        models = [_Model(stack, path, checked) for path in paths]
        differences = _compare(models, checked) if against is not None else None
        rounds = _rounds(models, seconds)
        loaded = [model.figures() for model in models]
    each, all_together = figures.summarize(checked.requests, rounds, differences)
    return ReplayReport(
        requests_file=checked.path,
        left_out=checked.left_out,
        rounds=len(rounds.ours),
        calls=sum(len(one[0]) for one in rounds.ours),
        saved_model=loaded[0],
        against=loaded[1] if against is not None else None,
        all=all_together,
        requests=each,
    )


class _Model:
    """A SavedModel in its process."""

    def __init__(self, stack: contextlib.ExitStack, path: str, requests: CheckedRequests):
        self._path = path
        self._child = stack.enter_context(contextlib.closing(ChildProcess(_PROGRAM, path)))
        content = [request.SerializeToString() for request in requests.requests]
        self._load_seconds = self._child.ask("load", path, content)

    def answer(self, number: int) -> dict[str, Any]:
        answer: dict[str, Any] = self._child.ask("answer", number)
        return answer

    def time(self, calls: int) -> list[list[float]]:
        seconds: list[list[float]] = self._child.ask("time", calls)
        return seconds

    def figures(self) -> ModelFigures:
        return ModelFigures(self._path, self._load_seconds, *self._child.ask("memory"))


def _compare(models: list[_Model], checked: CheckedRequests) -> list[Difference]:
    found = []
    for number in range(len(checked.requests)):
        ours, theirs, again = (model.answer(number) for model in (*models, models[1]))
        place = f"{checked.path}: request {number + 1}"
        is_random = figures.difference(theirs, again, place).values > 0
        difference = figures.difference(ours, theirs, place)
        found.append(Difference(is_random=True) if is_random else difference)
    return found


def _rounds(models: list[_Model], seconds: float) -> figures.Rounds:
    ours, peer = models[0], models[-1]
    # The first calls make kernels.
    for model in models:
        model.time(1)
    once = sum(sum(map(sum, model.time(1))) for model in (ours, peer, peer))
    calls = max(1, min(_MOST_CALLS, int(seconds / _ROUNDS / max(once, 1e-6))))
    rounds = figures.Rounds([], [], [])
    turns = [(rounds.ours, ours), (rounds.peer, peer), (rounds.again, peer)]
    for number in range(_ROUNDS):
        first = number % len(turns)
        for found, model in turns[first:] + turns[:first]:
            found.append(model.time(calls))
    return rounds
