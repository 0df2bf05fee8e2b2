#include "cc/storage/frequency_sketch.h"

#include <algorithm>

#include "cc/common/hash.h"

namespace tf_hps {

FrequencySketch::FrequencySketch(int64_t keys)
    : lines_(std::max<uint64_t>(1, static_cast<uint64_t>(keys * kBytesPerKey) / kLineBytes)),
      counters_(new std::atomic<uint8_t>[lines_ * kLineBytes]()) {}

FrequencySketch::Counters FrequencySketch::Of(Key key) const {
  const uint64_t hash = HashKey(key);
  std::atomic<uint8_t>* const line = counters_.get() + ReduceHash(hash, lines_) * kLineBytes;
  // The lower bits: the line was chosen by the upper ones.
  Counters counters;
  for (int i = 0; i < kCounters; ++i) {
    counters.at[i] = line + (i * 16 + (hash >> (4 * i) & 15));
  }
  return counters;
}

uint32_t FrequencySketch::Count(Key key) {
  const Counters counters = Of(key);
  uint8_t least = kMax;
  for (auto* counter : counters.at)
    least = std::min(least, counter->load(std::memory_order_relaxed));
  if (least == kMax) return kMax;
  // Only the least ones: the others are shared with keys that come more often.
  for (auto* counter : counters.at) {
    if (counter->load(std::memory_order_relaxed) == least) {
      counter->store(static_cast<uint8_t>(least + 1), std::memory_order_relaxed);
    }
  }
  return least + 1u;
}

void FrequencySketch::Raise(Key key, uint32_t count) {
  for (auto* counter : Of(key).at) {
    if (counter->load(std::memory_order_relaxed) < count) {
      counter->store(static_cast<uint8_t>(count), std::memory_order_relaxed);
    }
  }
}

void FrequencySketch::Age(uint64_t lines) {
  lines = std::min(lines, lines_);
  const uint64_t first = aged_.fetch_add(lines, std::memory_order_relaxed);
  for (uint64_t i = first; i < first + lines; ++i) {
    std::atomic<uint8_t>* const line = counters_.get() + i % lines_ * kLineBytes;
    for (size_t c = 0; c < kLineBytes; ++c) {
      line[c].store(line[c].load(std::memory_order_relaxed) / 2, std::memory_order_relaxed);
    }
  }
}

}  // namespace tf_hps
