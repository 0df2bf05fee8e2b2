#include "cc/hierarchy/background_fills.h"

#include <algorithm>
#include <utility>

#include "cc/common/thread_pool.h"

namespace tf_hps {
namespace {

// Per table and device: seconds of work for the stores.
constexpr size_t kMaxKeys = size_t{1} << 20;
constexpr size_t kKeysPerFill = size_t{1} << 14;

// For all tables, so that one whose stores are slow does not hold up the others: a table has two
// jobs at most.
ThreadPool& Pool() {
  static auto* const pool = new ThreadPool("hps-fill", 4);
  return *pool;
}

}  // namespace

BackgroundFills::~BackgroundFills() {
  MutexLock lock(&mutex_);
  ending_ = true;
  while (collecting_ || filling_) idle_.Wait(&mutex_);
}

void BackgroundFills::Collect(std::unique_ptr<CacheLookup> lookup) {
  MutexLock lock(&mutex_);
  lookups_.push_back(std::move(lookup));
  if (std::exchange(collecting_, true)) return;
  Pool().Schedule([this] { CollectAll(); });
}

void BackgroundFills::Enqueue(absl::Span<const Key> keys) {
  MutexLock lock(&mutex_);
  for (Key key : keys) {
    if (known_.count(key) != 0) continue;
    if (keys_.size() >= kMaxKeys) {
      dropped_.Add(1);
      continue;
    }
    known_.insert(key);
    keys_.push_back(key);
  }
  if (keys_.empty() || std::exchange(filling_, true)) return;
  Pool().Schedule([this] { FillAll(); });
}

void BackgroundFills::CollectAll() {
  while (true) {
    std::unique_ptr<CacheLookup> lookup;
    {
      MutexLock lock(&mutex_);
      if (lookups_.empty() || ending_) {
        collecting_ = false;
        idle_.NotifyAll();
        return;
      }
      lookup = std::move(lookups_.front());
      lookups_.pop_front();
    }
    if (!lookup->Wait().ok()) continue;  // the device is gone: its next lookup says so
    count_(lookup->keys().size());
    Enqueue(lookup->keys());
  }
}

void BackgroundFills::FillAll() {
  std::vector<Key> keys;
  while (true) {
    {
      MutexLock lock(&mutex_);
      for (Key key : keys) known_.erase(key);
      if (keys_.empty() || ending_) {
        filling_ = false;
        idle_.NotifyAll();
        return;
      }
      const size_t n = std::min(keys_.size(), kKeysPerFill);
      keys.assign(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(n));
      keys_.erase(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(n));
    }
    (fill_(keys).ok() ? filled_ : failed_).Add(static_cast<int64_t>(keys.size()));
  }
}

void BackgroundFills::Wait() const {
  MutexLock lock(&mutex_);
  while (collecting_ || filling_) idle_.Wait(&mutex_);
}

}  // namespace tf_hps
