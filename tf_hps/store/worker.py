"""Work that goes on beside the thread that brings it."""

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# What waits is memory; more than two waiting calls gain nothing.
_MAX_WAITING = 2


class Worker:
    """Makes calls in their order on a thread of its own: worth it for what releases Python's lock.

    After a call that failed, the others are not made.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: collections.deque[Future[None]] = collections.deque()
        self._failed = False

    def put(self, work: Callable[..., None], *arguments: Any) -> None:
        """Has `work(*arguments)` called; waits while others wait. Raises what an earlier call raised."""
        while len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._call, work, arguments))

    def finish(self) -> None:
        """Waits for all calls; raises what one of them raised."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Drops the calls that wait, and waits for the one that is made."""
        self._thread.shutdown(cancel_futures=True)
        self._waiting.clear()

    def _call(self, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self._failed:
            return
        try:
            work(*arguments)
        except BaseException:
            self._failed = True
            raise
