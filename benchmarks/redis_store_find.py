"""The Redis store's Find against a bare pipelined MGET through hiredis."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "redis_store_find",
        __doc__,
        "Find of the Redis store",
        {"full": [100_000], "medium": [100_000], "small": [5_000, 1]},
    )
