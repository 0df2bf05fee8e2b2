"""Progress: what is said where."""

import io

import pytest

from tf_hps import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_has_one_line_that_is_gone_at_the_end(clock):
    stream = Terminal()
    with progress.Progress("movie_id", stream) as shown:
        clock[0] += 2
        shown(500, 2000)
        clock[0] += 0.1  # too soon
        shown(600, 2000)
        clock[0] += 1.9
        shown(2000, 2000)
    first = "movie_id: 500 of 2,000 rows (25 %), 250 rows/s, 6 s left"
    second = "movie_id: 2,000 of 2,000 rows (100 %), 500 rows/s, 0 s left"
    assert stream.getvalue() == f"\r{first}\r{second}\r{' ' * len(second)}\r"


def test_a_log_has_a_line_every_ten_seconds(clock):
    stream = io.StringIO()
    with progress.Progress("t", stream) as shown:
        for _ in range(25):
            clock[0] += 1
            shown(1000, None)
    assert stream.getvalue() == "t: 1,000 rows, 100 rows/s\nt: 1,000 rows, 50 rows/s\n"


@pytest.mark.parametrize(
    ("done", "expected"), [(1, "2 h 46 min left"), (50, "3 min 19 s left"), (9999, "0 s left")]
)
def test_time_left_is_said_in_words(done, expected):
    assert progress.describe("t", done, 10_000, seconds=1.0).endswith(f" rows/s, {expected}")
