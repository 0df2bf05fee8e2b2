#ifndef TF_HPS_CC_STORAGE_ROCKSDB_RETRY_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_RETRY_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tf_hps {

// Whether to try again to read a store that another process may be changing. Files vanish under a
// reader while a writer compacts, and then the store looks damaged; it is, if files that nobody
// touches look damaged.
class RocksdbRetry {
 public:
  explicit RocksdbRetry(const std::string& path);

  // Waits and returns true, or returns false: `status` is what it is.
  bool After(const absl::Status& status);

 private:
  using Files = std::vector<std::string>;
  Files List() const;

  const std::string path_;
  const std::chrono::steady_clock::time_point give_up_;
  Files files_;  // as they stood before the last attempt
  int attempts_on_same_files_ = 0;
};

// Calls `open`, which returns a StatusOr, until it is worth no more.
template <typename Open>
auto RetryRocksdbOpen(const std::string& path, const Open& open) -> decltype(open()) {
  RocksdbRetry retry(path);
  for (;;) {
    auto result = open();
    if (result.ok() || !retry.After(result.status())) return result;
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_RETRY_H_
