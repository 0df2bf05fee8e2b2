"""Says how far a long step is."""

import sys
import time
from typing import TextIO

from tf_hps.closing import Closing

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Progress(Closing):
    """One line that changes on a terminal; a line every ten seconds elsewhere, e.g. in a log.

    Args:
        label: What is going on.
        stream: Where it is said, by default standard error.

    Example:

        with Progress("movie_id") as progress:
            writer.write_table("movie_id", source, progress=progress)
    """

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = self._shown = time.monotonic()
        self._width = 0

    def __call__(self, done: int, total: int | None = None) -> None:
        """Says that `done` rows of `total` are done, if it is time to."""
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            return
        self._shown = now
        line = describe(self._label, done, total, now - self._started)
        if self._terminal:
            # Blanks over what is left of a longer line before.
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Takes the line off the terminal."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def describe(label: str, done: int, total: int | None, seconds: float) -> str:
    """E.g. "movie_id: 1,200,000 of 2,000,000 rows (60 %), 812,000 rows/s, 1 s left"."""
    rate = done / max(seconds, 1e-6)
    if not total:
        return f"{label}: {done:,} rows, {rate:,.0f} rows/s"
    left = (total - done) / max(rate, 1e-6)
    return (
        f"{label}: {done:,} of {total:,} rows ({100 * done // total} %), {rate:,.0f} rows/s, "
        f"{_duration(left)} left"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
