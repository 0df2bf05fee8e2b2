#ifndef TF_HPS_CC_STORAGE_FETCHED_STORES_H_
#define TF_HPS_CC_STORAGE_FETCHED_STORES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/storage/file_fetch.h"

namespace tf_hps {

// Stores under a scheme (gs://bucket/store), brought to this machine before they are opened:
//   <state_dir>/stores/<id>            a store, whole; the id is that of its manifest
//   <state_dir>/stores/<id>.partial    one that is being fetched, or was when somebody was killed
//   <state_dir>/stores/<id>.dropped    one that is being deleted
// and `deployment`, whose they are, and `LOCK`, which the process holds that has fetched.

// A store that is not dropped while somebody holds this.
struct FetchedStore {
  const std::string path;
};

// Brings the store to `state_dir`, or finds it there: what the manifest at `url` says, and nothing
// else. Files that another store in `state_dir` has too are linked. FailedPrecondition: no
// manifest, no state_dir, or another process's or deployment's; ResourceExhausted: no room;
// DataLoss: files that are not as the manifest says.
absl::StatusOr<std::shared_ptr<const FetchedStore>> FetchStore(const std::string& deployment,
                                                               const std::string& url,
                                                               const std::string& state_dir,
                                                               const FetchOptions& options = {});

// Deletes the fetched stores that nobody holds and that are not open in this process; not the one
// at the path `keep` either.
absl::Status DropFetchedStores(const std::string& state_dir, const std::string& keep = "");

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_FETCHED_STORES_H_
