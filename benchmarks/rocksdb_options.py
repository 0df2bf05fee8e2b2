"""RocksDB's options, each changed alone."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "rocksdb_options",
        __doc__,
        "the options of our stores",
        {"full": [2_000_000], "medium": [300_000], "small": [5_000, 1]},
    )
