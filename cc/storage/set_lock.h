#ifndef TF_HPS_CC_STORAGE_SET_LOCK_H_
#define TF_HPS_CC_STORAGE_SET_LOCK_H_

#include <thread>

#include "cc/storage/key_set.h"

namespace tf_hps {

// A writer's hold of a set. Readers that began before it ended look again, whether the set changed
// or not: a reader that found the set locked, did not look, and then sees the head as it was before
// would call a key missing that was there all the time.
class SetLock {
 public:
  SetLock() = default;
  explicit SetLock(KeySet* set) {
    while (!TryLock(set)) std::this_thread::yield();
  }
  ~SetLock() { Unlock(); }
  SetLock(const SetLock&) = delete;
  SetLock& operator=(const SetLock&) = delete;

  bool TryLock(KeySet* set) {
    uint32_t head = set->head.load(std::memory_order_relaxed);
    if ((head & KeySet::kLocked) != 0 ||
        !set->head.compare_exchange_strong(head, head | KeySet::kLocked,
                                           std::memory_order_acquire)) {
      return false;
    }
    // A reader that sees anything written from here on sees the lock, too.
    std::atomic_thread_fence(std::memory_order_release);
    set_ = set;
    return true;
  }
  void Unlock() {
    if (set_ == nullptr) return;
    // Added: takes off the lock and raises the version in one step; others may count spilled keys
    // in the head meanwhile.
    set_->head.fetch_add(KeySet::kLocked, std::memory_order_release);
    set_ = nullptr;
  }

 private:
  KeySet* set_ = nullptr;
};

// Counts the keys whose first home is `set` and who live elsewhere. From 15 on it stays: lookups
// then ask the second home more often than needed. Needs no lock.
inline void CountSpilled(KeySet* set, int change) {
  uint32_t head = set->head.load(std::memory_order_relaxed);
  while ((head & KeySet::kSpilledMask) != KeySet::kSpilledMask &&
         !set->head.compare_exchange_weak(head, head + static_cast<uint32_t>(change),
                                          std::memory_order_release)) {
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_SET_LOCK_H_
