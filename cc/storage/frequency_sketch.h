#ifndef TF_HPS_CC_STORAGE_FREQUENCY_SKETCH_H_
#define TF_HPS_CC_STORAGE_FREQUENCY_SKETCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cc/common/key.h"

namespace tf_hps {

// About how often each of many keys was counted, in a few bytes for each that matters: a count-min
// sketch that forgets (Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission
// Policy", ACM Transactions on Storage 2017). Never too low but for what was forgotten.
// Thread-safe; counts that race may get lost.
class FrequencySketch {
 public:
  static constexpr uint32_t kMax = 255;
  static constexpr int64_t kBytesPerKey = 6;

  // For some `keys` keys at a time.
  explicit FrequencySketch(int64_t keys);

  // Counts the key once more; its count.
  uint32_t Count(Key key);
  // Counts the key as often as `count`, unless it was counted more often.
  void Raise(Key key, uint32_t count);
  // Halves the counts of the next `lines`, in turn; see lines().
  void Age(uint64_t lines);
  uint64_t lines() const { return lines_; }

  size_t bytes() const { return lines_ * kLineBytes; }

 private:
  // A key's counters lie in one cache line.
  static constexpr size_t kLineBytes = 64;
  static constexpr int kCounters = 4;
  struct Counters {
    std::atomic<uint8_t>* at[kCounters];
  };
  Counters Of(Key key) const;

  const uint64_t lines_;
  const std::unique_ptr<std::atomic<uint8_t>[]> counters_;
  std::atomic<uint64_t> aged_{0};
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_FREQUENCY_SKETCH_H_
