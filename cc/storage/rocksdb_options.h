#ifndef TF_HPS_CC_STORAGE_ROCKSDB_OPTIONS_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_OPTIONS_H_

#include <cstdint>

#include "cc/storage/rocksdb_c.h"

namespace tf_hps {

struct RocksdbOptions {
  bool read_only = false;
  // Hot rows are in the memory tier and files in the page cache, so this only has to keep the
  // blocks that one batch comes back to. 0: none.
  int64_t block_cache_bytes = int64_t{64} << 20;
};

// For the database and for each of its column families. Nothing comes from the OPTIONS file:
// another RocksDB version may have written it.
RocksdbOptionsPtr MakeRocksdbOptions(const RocksdbOptions& options);

// What a table file says and holds beside its rows: docs/formats.md.
RocksdbTableOptionsPtr MakeRocksdbTableOptions();

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_OPTIONS_H_
