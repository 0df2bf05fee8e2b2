#ifndef TF_HPS_CC_STORAGE_OVERFLOW_ROWS_H_
#define TF_HPS_CC_STORAGE_OVERFLOW_ROWS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cc/common/key.h"
#include "cc/common/mutex.h"

namespace tf_hps {

// Rows of keys that found no way in either home. Nearly always empty: a full home makes room by
// moving one of its keys first. Readers take the mutex here, and only here. Thread-safe.
class OverflowRows {
 public:
  bool empty() const { return size_.load(std::memory_order_acquire) == 0; }

  void Insert(Key key, uint32_t row) {
    MutexLock lock(&mutex_);
    rows_[key] = row;
    size_.store(rows_.size(), std::memory_order_release);
  }
  // The row that was taken out, or `none`.
  uint32_t Erase(Key key, uint32_t none) {
    MutexLock lock(&mutex_);
    const auto it = rows_.find(key);
    if (it == rows_.end()) return none;
    const uint32_t row = it->second;
    rows_.erase(it);
    size_.store(rows_.size(), std::memory_order_release);
    return row;
  }
  // Calls use(row) while nobody else can write or take out the key's row; false: it has none.
  template <class Use>
  bool With(Key key, const Use& use) const {
    if (empty()) return false;
    MutexLock lock(&mutex_);
    const auto it = rows_.find(key);
    if (it == rows_.end()) return false;
    use(it->second);
    return true;
  }
  // The key's row, where it has one, becomes number(row); readers wait.
  template <class Number>
  void Renumber(Key key, const Number& number) {
    MutexLock lock(&mutex_);
    const auto it = rows_.find(key);
    if (it != rows_.end()) it->second = number(it->second);
  }
  std::vector<std::pair<Key, uint32_t>> All() const {
    MutexLock lock(&mutex_);
    return {rows_.begin(), rows_.end()};
  }

 private:
  std::atomic<size_t> size_{0};
  mutable Mutex mutex_;
  std::unordered_map<Key, uint32_t> rows_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_OVERFLOW_ROWS_H_
