#ifndef TF_HPS_CC_STORAGE_EVICTION_POLICY_H_
#define TF_HPS_CC_STORAGE_EVICTION_POLICY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tf_hps {

// What a row's 16-bit counter means, and who goes first. Thread-safe.
//
// Time is counted in evictions, a tick each 64th part of the store: where nothing is evicted no row
// grows older, and lookups find nothing to write.
//   lru: the tick of the row's last use.
//   lfu: the lower byte counts uses on a logarithmic scale (some million of them fill it), the
//   upper one
//        is the tick when it was last decayed, by one a tick (the scheme of Redis).
class EvictionPolicy {
 public:
  enum class Kind { kLru, kLfu };

  EvictionPolicy(Kind kind, int64_t capacity_rows);

  static constexpr uint64_t kNoWay = ~uint64_t{0};

  // The counter of a row that comes in.
  uint16_t New() const;
  // Counts a use of each way in ways[0, n) that is not kNoWay.
  void Touch(std::atomic<uint16_t>* counters, const uint64_t* ways, size_t n) const;
  // Of two rows the one with more goes first.
  uint32_t Coldness(uint16_t counter) const;

  void CountEviction() { evictions_.fetch_add(1, std::memory_order_relaxed); }
  int64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  uint16_t Now() const { return static_cast<uint16_t>(evictions() >> tick_shift_); }
  uint8_t DecayedUses(uint16_t counter) const;

  const Kind kind_;
  const int tick_shift_;
  std::atomic<int64_t> evictions_{0};
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_EVICTION_POLICY_H_
