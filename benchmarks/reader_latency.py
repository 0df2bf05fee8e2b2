"""Percentiles of a reader's calls of Find: alone, beside a writer, while the store shrinks."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "reader_latency",
        __doc__,
        "a reader alone",
        {"full": [2_000_000], "medium": [2_000_000], "small": [20_000, 1]},
        meaning="p99 over that of the reader alone",
    )
