#ifndef TF_HPS_CC_HIERARCHY_HOT_KEYS_H_
#define TF_HPS_CC_HIERARCHY_HOT_KEYS_H_

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/mutex.h"
#include "cc/common/table_spec.h"

namespace tf_hps {

// A table's keys that are asked for most, the hottest first, in a file: "hpshotk1", then the keys
// as little-endian int64. No rows: those are read from the stores, and are as new as they are
// there.

// <folder>/<deployment>/<table>.keys
std::string HotKeysPath(const std::string& folder, const TableSpec& spec);
// NotFound where there is no such file.
absl::StatusOr<std::vector<Key>> ReadHotKeys(const std::string& path);
// Whole or not at all: readers and a killed writer see the former file or the new one.
absl::Status WriteHotKeys(const std::string& path, absl::Span<const Key> keys);

// Writes a table's hot keys every so often, and once more at its end, so that a process that is
// started again begins where this one was.
class HotKeySaver {
 public:
  HotKeySaver(std::string path, std::chrono::milliseconds pause,
              std::function<std::vector<Key>()> hot_keys);
  ~HotKeySaver();

 private:
  void Run();
  void Save();

  const std::string path_;
  const std::chrono::milliseconds pause_;
  const std::function<std::vector<Key>()> hot_keys_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_HOT_KEYS_H_
