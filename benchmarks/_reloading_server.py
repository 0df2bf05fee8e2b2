"""A server without a port, in a process of its own: answers requests while the next version is loaded."""

import functools
import threading
import time
from typing import Any

import _axes
import _models
from _c_session import CSession, Request, Signature

from tf_hps import _library
from tf_hps.replay.child_process import answer_parent
from tf_hps.replay.model_process import wait_for_preloads
from tf_hps.saved_model.config_assets import config_assets, tables_used

SAMPLES = 64
REQUESTS = 5000
# Requests come at fixed times, whatever became of those before: a stall is felt by all that come meanwhile.
INTERVAL = 0.005


class ReloadingServer:
    """Loads, switches and unloads as TensorFlow Serving does it: the next version is loaded and warmed up beside the one that answers."""

    def __init__(self):
        self._sent = 0
        self._call = threading.Lock()

    def start(self, path: str, rows: int, distribution: str) -> None:
        """Serves a version, with its preload at its end."""
        _library.load_ops()
        self._signature = Signature(path)
        dense = _models.dense_features(SAMPLES)
        self._requests = [
            Request(self._signature, ids=ids.reshape(-1, 1), dense=dense)
            for ids in _axes.draw_ids(distribution, rows, REQUESTS * SAMPLES).reshape(-1, SAMPLES)
        ]
        self._session = self._load(path)
        wait_for_preloads(path)

    def steady(self, seconds: float) -> list[float]:
        """Latencies of requests for so long."""
        end = time.perf_counter() + seconds
        return self._answer_while(lambda: time.perf_counter() < end)

    def reload(self, path: str, settling: float) -> list[float]:
        """Latencies of the requests while a version is loaded, takes over, and the former one is unloaded;
        then until all rows are in memory, so many seconds at most. For a second at least: of the twenty
        requests that come while tables are taken over, p99 would be the slowest."""
        loading = threading.Thread(target=functools.partial(self._replace, path, settling))
        loading.start()
        end = time.perf_counter() + 1
        seconds = self._answer_while(lambda: loading.is_alive() or time.perf_counter() < end)
        loading.join()
        return seconds

    def stats(self, path: str) -> list[dict[str, Any]]:
        """What each table of a SavedModel has counted so far."""
        open_table = _library.load_core().Table
        return [
            open_table(config.path, name).stats()
            for config in config_assets(path)
            for name in tables_used(path)
        ]

    def _load(self, path: str) -> CSession:
        session = CSession(path, self._signature)
        for request in self._requests[:3]:
            session.run(request)
        return session

    def _replace(self, path: str, settling: float) -> None:
        session = self._load(path)
        with self._call:
            former, self._session = self._session, session
        former.close()
        end = time.perf_counter() + settling
        while time.perf_counter() < end:
            if all(one["tiers"][0]["complete"] for one in self.stats(path)):
                return
            time.sleep(0.25)

    def _answer_while(self, goes_on) -> list[float]:
        seconds = []
        due = time.perf_counter()
        while goes_on():
            time.sleep(max(0.0, due - time.perf_counter()))
            with self._call:
                self._session.run(self._requests[self._sent % len(self._requests)])
            self._sent += 1
            seconds.append(time.perf_counter() - due)
            due += INTERVAL
        return seconds


if __name__ == "__main__":
    server = ReloadingServer()
    answer_parent(
        {
            "start": server.start,
            "steady": server.steady,
            "reload": server.reload,
            "stats": server.stats,
        }
    )
