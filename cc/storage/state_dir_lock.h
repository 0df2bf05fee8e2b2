#ifndef TF_HPS_CC_STORAGE_STATE_DIR_LOCK_H_
#define TF_HPS_CC_STORAGE_STATE_DIR_LOCK_H_

#include <string>

#include "absl/status/status.h"

namespace tf_hps {

// Makes `folder`, in a state_dir, this process's until it ends: two would drop each other's stores.
// FailedPrecondition names the process whose it is.
absl::Status LockFolder(const std::string& folder);

// Makes it `deployment`'s for ever. FailedPrecondition names another deployment whose it is.
absl::Status ClaimFolder(const std::string& folder, const std::string& deployment);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STATE_DIR_LOCK_H_
