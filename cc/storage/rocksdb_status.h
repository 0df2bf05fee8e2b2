#ifndef TF_HPS_CC_STORAGE_ROCKSDB_STATUS_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tf_hps {

// The C API hands errors out as text ("IO error: No space left on device: ..."). The one place that
// makes codes of them:
//   the lock is taken            FailedPrecondition, with the cure
//   no space, too many files     ResourceExhausted
//   corruption, a file is gone   DataLoss
//   other I/O, busy, timeouts    Unavailable
//   what this build cannot read  Unimplemented
//   anything else                Internal
// `where` says whose error it is, e.g. RocksDB store "/data/hps", table "movie_id".
absl::Status RocksdbStatus(absl::string_view where, absl::string_view text);

// RocksDB store "<path>"
std::string RocksdbStoreName(absl::string_view path);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_STATUS_H_
