#ifndef TF_HPS_CC_STORAGE_ROCKSDB_DELTA_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_DELTA_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/storage/rocksdb_scanner.h"

namespace tf_hps {

// A delta is a generation of which a store has only the rows that differ from those of another
// generation of the table, its base, and the keys that are erased (docs/formats.md). No base is a
// delta itself.

// A table with what it lies over. DataLoss: its base is gone. FailedPrecondition: rows of the base
// changed since the delta was written, so nobody knows what it had.
absl::StatusOr<OpenRocksdbTable> WithRocksdbBase(OpenRocksdbTable table);

// FailedPrecondition, with their generations, where deltas of its database lie over the table: it
// takes no rows anymore.
absl::Status CheckNoDeltaOver(const OpenRocksdbTable& table);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_DELTA_H_
