"""Hit rates of the memory store's eviction policies against an ideal LFU."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "hit_rate",
        __doc__,
        "an ideal LFU",
        {"full": [1_000_000], "medium": [300_000], "small": [10_000]},
        meaning="hit rate over that of an ideal LFU",
    )
