"""One SavedModel in a process of its own, which answers requests again and again.

`python -m tf_hps.replay.model_process DESCRIPTOR`; `ReplayedModel` starts it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tf_hps import _library
from tf_hps.replay.child_process import answer_parent
from tf_hps.replay.memory import peak_bytes, resident_bytes
from tf_hps.saved_model.config_assets import config_assets, tables_used
from tf_hps.serving.servable import Servable

Outputs = dict[str, np.ndarray]


class ModelProcess:
    """What the child does. Memory is what the model added: TensorFlow itself is there before."""

    def __init__(self) -> None:
        _library.load_ops()
        self._before = resident_bytes()
        self._servable: Servable | None = None
        self._calls: list[Callable[[], Outputs]] = []

    def load(self, path: str, requests: list[bytes]) -> float:
        """Loads a SavedModel and answers each request once; the seconds until both are done."""
        from tensorflow_serving.apis import predict_pb2

        path = os.path.abspath(path)
        started = time.perf_counter()
        self._servable = Servable(os.path.basename(path), 0, path)
        wait_for_preloads(path)
        seconds = time.perf_counter() - started
        for content in requests:
            request = predict_pb2.PredictRequest.FromString(content)
            self._calls.append(self._servable.repeated(request))
        return seconds

    def answer(self, number: int) -> Outputs:
        return self._calls[number]()

    def time(self, calls: int) -> list[list[float]]:
        """Seconds of `calls` calls of each request, all requests in turn."""
        seconds: list[list[float]] = [[] for _ in self._calls]
        for _ in range(calls):
            for call, found in zip(self._calls, seconds, strict=True):
                started = time.perf_counter()
                call()
                found.append(time.perf_counter() - started)
        return seconds

    def memory(self) -> tuple[int, int]:
        """Bytes that the model takes now, and that it took at the most."""
        return resident_bytes() - self._before, peak_bytes() - self._before


def wait_for_preloads(saved_model: str) -> None:
    """Until the tables that a loaded SavedModel has open hold what they preload."""
    tables = tables_used(saved_model)
    for asset in config_assets(saved_model):
        for name in tables:
            if name in (asset.content.get("tables") or {}):
                _library.load_core().Table(asset.path, name).wait_for_preload()


if __name__ == "__main__":
    process = ModelProcess()
    answer_parent(
        {
            "load": process.load,
            "answer": process.answer,
            "time": process.time,
            "memory": process.memory,
        }
    )
