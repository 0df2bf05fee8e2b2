#include "cc/storage/rocksdb_retry.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

namespace tf_hps {
namespace {

// A writer that goes on replacing files for so long would keep a reader out.
constexpr std::chrono::seconds kLimit(20);
constexpr std::chrono::milliseconds kWait(10);
// A writer may be between two steps: column families are dropped before their records go.
constexpr int kAttemptsOnSameFiles = 5;

}  // namespace

RocksdbRetry::RocksdbRetry(const std::string& path)
    : path_(path), give_up_(std::chrono::steady_clock::now() + kLimit), files_(List()) {}

bool RocksdbRetry::After(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kDataLoss &&
      status.code() != absl::StatusCode::kUnavailable) {
    return false;
  }
  std::this_thread::sleep_for(kWait * (attempts_on_same_files_ + 1));
  Files files = List();
  // Another process that holds the lock goes on holding it, whatever it writes meanwhile.
  const bool changed = files != files_ && status.code() == absl::StatusCode::kDataLoss;
  attempts_on_same_files_ = changed ? 0 : attempts_on_same_files_ + 1;
  files_ = std::move(files);
  return attempts_on_same_files_ < kAttemptsOnSameFiles &&
         std::chrono::steady_clock::now() < give_up_;
}

// Without RocksDB's own journal, which attempts to open write, too.
RocksdbRetry::Files RocksdbRetry::List() const {
  Files files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.compare(0, 3, "LOG") == 0) continue;
    std::error_code size_error;
    files.push_back(name + " " + std::to_string(it->file_size(size_error)));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace tf_hps
