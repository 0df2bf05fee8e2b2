"""A child process that does what it is asked for, by names, over a socket of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import Any

_LAST_WORDS = 3


class ChildError(RuntimeError):
    """What failed in the child process, or how it ended."""


class ChildProcess:
    """Runs `python PROGRAM... DESCRIPTOR`, whose `answer_parent` answers.

    Not multiprocessing: that would import the parent's main program there, and begin with its memory. The child's
    standard output is its own affair, TensorFlow and other libraries print there.

    Whoever makes one closes it: `contextlib.closing`.

    Args:
        program: Arguments of Python, e.g. `["-m", "package.module"]`.
        what: The child's name in messages.
    """

    def __init__(self, program: Sequence[str], what: str):
        self._what = what
        ours, theirs = Pipe()
        self._connection = ours
        # A file: nobody empties a pipe meanwhile.
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *program, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, name: str, *arguments: Any) -> None:
        """Asks without waiting; `hear` has the answer. One question at a time."""
        try:
            self._connection.send((name, arguments))
        except OSError:
            raise self._ended() from None

    def heard(self, seconds: float) -> bool:
        """Whether there is an answer, after waiting for it that long at most."""
        return self._connection.poll(seconds)

    def hear(self) -> Any:
        """The answer to the last question."""
        try:
            failed, answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if failed:
            raise ChildError(f"{self._what}: {answer}")
        return answer

    def ask(self, name: str, *arguments: Any) -> Any:
        """Asks and waits for the answer."""
        self.tell(name, *arguments)
        return self.hear()

    def close(self) -> None:
        """Ends the child, if it has not ended."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
        self._said.close()

    def _ended(self) -> ChildError:
        code = self._process.wait()
        self._said.seek(0)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        how += ", as when memory is short" if code == -signal.SIGKILL else ""
        last = " ".join(self._said.read().strip().splitlines()[-_LAST_WORDS:])
        return ChildError(f"{self._what}: its process ended with {how}{': ' if last else ''}{last}")


def answer_parent(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """The child's part: answers what it is asked for by these functions, until the parent closes the socket."""
    with Connection(int(sys.argv[-1])) as connection:
        while True:
            try:
                name, arguments = connection.recv()
            except (EOFError, OSError):
                return
            try:
                answer = (False, handlers[name](*arguments))
            except Exception as error:
                answer = (True, f"{type(error).__name__}: {error}")
            connection.send(answer)
