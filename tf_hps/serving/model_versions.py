"""The versions of one model that are being loaded, served and unloaded."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import threading
import time
from collections.abc import Iterator

from tf_hps.serving.errors import not_found
from tf_hps.serving.servable import Servable
from tf_hps.serving.version_folder import folder_of, versions_in

_log = logging.getLogger("tf_hps.serving")

_FIRST_PAUSE = 1.0  # before a version that failed is tried again, doubled from time to time
_LONGEST_PAUSE = 60.0


@dataclasses.dataclass
class VersionState:
    """What a version is doing; `state` is a word of TensorFlow Serving's ModelVersionStatus."""

    state: str
    error: Exception | None = None
    pause: float = _FIRST_PAUSE
    try_again: float = 0.0


class ModelVersions:
    """Serves the newest version under a folder.

    A version that appears is loaded and warmed up beside the one that serves, then takes its place; the old
    one ends its calls and is unloaded, so no request fails for the switch. When the newest folder goes away,
    the newest that is left is served again. A version that cannot be loaded changes nothing, and is tried
    again later. Thread-safe.

    Args:
        name: The model's name.
        base_path: The folder of version folders.
        poll_seconds: How often it is looked at.
    """

    def __init__(self, name: str, base_path: str, poll_seconds: float = 1.0):
        self.name = name
        self.base_path = base_path
        self._poll_seconds = poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hps-versions", daemon=True)
        self._lock = threading.Lock()  # guards what follows
        self._serving: Servable | None = None
        self._states: dict[int, VersionState] = {}

    def start(self) -> None:
        """Loads the newest version, then watches the folder. Raises what keeps that one from loading."""
        versions = versions_in(self.base_path)
        if not versions:
            raise FileNotFoundError(
                f"{self.base_path} has no version: a folder whose name is a number, with a saved_model.pb "
                "in it"
            )
        self._load(versions[-1])
        if error := self._states[versions[-1]].error:
            raise error
        self._thread.start()

    def stop(self) -> None:
        """Unloads everything, after the calls in flight."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._switch_to(None)

    @contextlib.contextmanager
    def serving(self, version: int | None = None) -> Iterator[Servable]:
        """The version that serves; it stays loaded inside the `with`."""
        with self._lock:
            servable = self._serving
            if servable is None or version not in (None, servable.version):
                what = f'Model "{self.name}"' + ("" if version is None else f", version {version},")
                has = "nothing" if servable is None else f"version {servable.version}"
                raise not_found(f"{what} is not served. Served is: {has}")
            servable.begin_call()
        try:
            yield servable
        finally:
            servable.end_call()

    def states(self) -> dict[int, VersionState]:
        with self._lock:
            return {version: dataclasses.replace(s) for version, s in sorted(self._states.items())}

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self._look()
            except Exception:
                _log.exception("looking for versions in %s", self.base_path)

    def _look(self) -> None:
        versions = versions_in(self.base_path)
        with self._lock:
            serving = self._serving
            # Versions that ended are told of for as long as their folders are there.
            for gone in self._states.keys() - set(versions):
                if serving is None or gone != serving.version:
                    del self._states[gone]
            failed = {
                v for v, s in self._states.items() if s.error and s.try_again > time.monotonic()
            }
        wanted = next((v for v in reversed(versions) if v not in failed), None)
        # An empty folder changes nothing: somebody is about to fill it.
        if wanted is None or (serving is not None and wanted == serving.version):
            return
        if serving is not None and wanted < serving.version and serving.version in versions:
            return
        self._load(wanted)

    def _load(self, version: int) -> None:
        with self._lock:
            former = self._states.get(version)
            state = self._states[version] = VersionState("LOADING")
        try:
            servable = Servable(self.name, version, folder_of(self.base_path, version))
            try:
                requests = servable.warm_up()
            except BaseException:
                servable.close()
                raise
        except Exception as error:
            with self._lock:
                state.state, state.error = "END", error
                if former is not None and former.error is not None:
                    state.pause = min(2 * former.pause, _LONGEST_PAUSE)
                state.try_again = time.monotonic() + state.pause
            _log.warning("version %d of %s is not loaded: %s", version, self.name, error)
            return
        _log.info("version %d of %s is loaded, %d warm-up requests", version, self.name, requests)
        self._switch_to(servable)

    def _switch_to(self, servable: Servable | None) -> None:
        with self._lock:
            former, self._serving = self._serving, servable
            if servable is not None:
                self._states[servable.version] = VersionState("AVAILABLE")
            if former is not None:
                self._states[former.version] = VersionState("UNLOADING")
        if former is None:
            return
        former.wait_until_idle()
        former.close()
        version = former.version
        del former
        gc.collect()  # a graph is full of cycles
        with self._lock:
            self._states[version] = VersionState("END")
        _log.info("version %d of %s is unloaded", version, self.name)
