"""The memory store's Find against a gather from a dense array."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "memory_store_find",
        __doc__,
        "Find of the memory store",
        {"full": [2_000_000], "medium": [2_000_000], "small": [20_000, 1]},
    )
