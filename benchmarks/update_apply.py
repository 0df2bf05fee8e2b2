"""How fast a server catches up with a stream of updates, and what bounds it."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "update_apply",
        __doc__,
        "commits applied to a table that follows a stream",
        {"full": [2_000_000], "medium": [400_000], "small": [20_000, 5_000, 1]},
    )
