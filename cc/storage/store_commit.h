#ifndef TF_HPS_CC_STORAGE_STORE_COMMIT_H_
#define TF_HPS_CC_STORAGE_STORE_COMMIT_H_

#include "absl/status/status.h"

namespace tf_hps {

// Rows of several tables of one store, written all or none, whenever the process ends. Between
// Write and Show lookups and scans of these tables see them as they were before; nobody else writes
// to them meanwhile. Not thread-safe.
class StoreCommit {
 public:
  // Shows what was written.
  virtual ~StoreCommit() = default;

  virtual absl::Status Write() = 0;
  virtual void Show() = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STORE_COMMIT_H_
