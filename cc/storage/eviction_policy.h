#ifndef TF_HPS_CC_STORAGE_EVICTION_POLICY_H_
#define TF_HPS_CC_STORAGE_EVICTION_POLICY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "cc/common/key.h"
#include "cc/storage/frequency_sketch.h"

namespace tf_hps {

// What a row's 16-bit counter means, who goes first, and who may come in for it. Thread-safe.
//   lru: the counter is the time of the row's last use, in evictions, a tick each 64th part of the
//        store and each period: where neither comes no row grows older, and lookups find nothing
//        to write.
//   lfu: the lower byte counts uses, the upper one is the epoch they were counted in; they are
//        halved with every epoch. Keys that are not here are counted in a sketch, and one that was
//        asked for less often than the row that would go for it stays outside (TinyLFU, see
//        FrequencySketch).
class EvictionPolicy {
 public:
  enum class Kind { kLru, kLfu };

  EvictionPolicy(Kind kind, int64_t capacity_rows);

  static constexpr uint64_t kNoWay = ~uint64_t{0};
  // Beside the rows' counters.
  static constexpr double BytesPerRow(Kind kind) {
    return kind == Kind::kLfu ? FrequencySketch::kBytesPerKey : 0;
  }

  // Counts that a key was asked for which is not here; how often it was, now and before.
  uint32_t CountMiss(Key key);
  // The counter of a row that comes in.
  uint16_t New(uint32_t uses = 1) const;
  // Counts a use of each way in ways[0, n) that is not kNoWay.
  void Touch(std::atomic<uint16_t>* counters, const uint64_t* ways, size_t n) const;
  // From here on uses are told from earlier ones, also while nothing is evicted.
  void BeginPeriod() { periods_.fetch_add(1, std::memory_order_relaxed); }
  // Of two rows the one with more goes first.
  uint32_t Coldness(uint16_t counter) const { return Coldness(counter, Now()); }
  static constexpr uint32_t kMaxColdness = 0xffff;
  // For who compares many rows while others are evicted, which makes rows of lru older: what it was
  // at the moment that Now() told.
  uint16_t Now() const { return kind_ == Kind::kLru ? Tick() : 0; }
  uint32_t Coldness(uint16_t counter, uint16_t moment) const;
  // Whether a key that was asked for so often is worth more than the row with this counter.
  bool Admits(uint32_t uses, uint16_t counter) const;
  // The row of `key` goes, which had this counter.
  void Evict(Key key, uint16_t counter);

  int64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }
  int64_t bytes() const;

 private:
  uint16_t Tick() const {
    return static_cast<uint16_t>((evictions() >> tick_shift_) +
                                 periods_.load(std::memory_order_relaxed));
  }
  uint8_t Epoch() const;
  static uint32_t Uses(uint16_t counter, uint8_t epoch);
  void PassTime(int64_t uses) const;
  FrequencySketch& Sketch();

  const Kind kind_;
  const int64_t capacity_rows_;
  const int tick_shift_;
  const int64_t epoch_uses_;
  mutable std::atomic<int64_t> uses_{0};
  // Of lfu, from the first key on that is asked for when the store is full: it has the size of a
  // full store.
  std::once_flag sketch_made_;
  std::unique_ptr<FrequencySketch> owned_sketch_;
  std::atomic<FrequencySketch*> sketch_{nullptr};
  std::atomic<int64_t> evictions_{0};
  std::atomic<int64_t> periods_{0};
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_EVICTION_POLICY_H_
