"""The memory store's Find with the sampler of its keys, against the same without it."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "key_sampler",
        __doc__,
        "Find with sampled keys",
        {"full": [2_000_000], "medium": [2_000_000], "small": [20_000, 1]},
        meaning="time without the sampler over that with it",
    )
