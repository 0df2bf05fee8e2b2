"""The RocksDB store's Find against a bare loop of batched_multi_get_cf."""

import _programs

if __name__ == "__main__":
    _programs.report(
        "rocksdb_store_find",
        __doc__,
        "Find of the RocksDB store",
        {"full": [500_000], "medium": [100_000], "small": [5_000, 1]},
    )
