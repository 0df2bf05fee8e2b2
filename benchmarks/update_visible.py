"""How soon lookups see a commit, and what they notice of commits."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "update_visible",
        __doc__,
        "lookups of 1024 keys beside a stream of updates",
        {"full": [1_000_000, 20], "medium": [200_000, 5], "small": [20_000, 1]},
        "p99 of lookups with updates over p99 without",
    )
