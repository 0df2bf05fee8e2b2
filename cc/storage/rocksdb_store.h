#ifndef TF_HPS_CC_STORAGE_ROCKSDB_STORE_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_STORE_H_

#include <memory>

#include "cc/storage/embedding_store.h"
#include "cc/storage/rocksdb_scanner.h"

namespace tf_hps {

// A table of an open database, and what it lies over. `read_only`: writes are FailedPrecondition,
// as they are where deltas lie over the table.
std::unique_ptr<EmbeddingStore> NewRocksdbStore(OpenRocksdbTable table, bool read_only);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_STORE_H_
