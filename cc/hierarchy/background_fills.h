#ifndef TF_HPS_CC_HIERARCHY_BACKGROUND_FILLS_H_
#define TF_HPS_CC_HIERARCHY_BACKGROUND_FILLS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/cache/embedding_cache.h"
#include "cc/common/counter.h"
#include "cc/common/key.h"
#include "cc/common/mutex.h"

namespace tf_hps {

// Brings keys that got a default row into a device's cache, on threads of ours: one collects the
// misses of lookups nobody waited for, one fetches keys, each key once for all who miss it
// meanwhile. When keys come faster than the stores have them, they are dropped and counted: a later
// lookup misses them again. Thread-safe.
class BackgroundFills {
 public:
  // `fill` fetches some keys and puts them into the cache; `count` is told a collected lookup's
  // misses. Both run on the threads above.
  BackgroundFills(std::function<absl::Status(absl::Span<const Key>)> fill,
                  std::function<void(size_t misses)> count)
      : fill_(std::move(fill)), count_(std::move(count)) {}
  // Waits for what runs; what is queued is dropped.
  ~BackgroundFills();

  // Waits for the device there and enqueues what the lookup missed.
  void Collect(std::unique_ptr<CacheLookup> lookup);
  void Enqueue(absl::Span<const Key> keys);
  // Until nothing is queued and nothing runs (for tests).
  void Wait() const;

  int64_t keys_filled() const { return filled_.Get(); }
  int64_t keys_dropped() const { return dropped_.Get(); }
  int64_t keys_failed() const { return failed_.Get(); }  // by the tiers below, or the device

 private:
  void CollectAll();
  void FillAll();

  const std::function<absl::Status(absl::Span<const Key>)> fill_;
  const std::function<void(size_t)> count_;
  Counter filled_, dropped_, failed_;

  mutable Mutex mutex_;
  mutable CondVar idle_;
  std::deque<std::unique_ptr<CacheLookup>> lookups_ ABSL_GUARDED_BY(mutex_);
  std::deque<Key> keys_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<Key> known_ ABSL_GUARDED_BY(mutex_);  // queued or being fetched
  bool collecting_ ABSL_GUARDED_BY(mutex_) = false;
  bool filling_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_BACKGROUND_FILLS_H_
