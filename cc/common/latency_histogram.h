#ifndef TF_HPS_CC_COMMON_LATENCY_HISTOGRAM_H_
#define TF_HPS_CC_COMMON_LATENCY_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "nlohmann/json.hpp"

namespace tf_hps {

// How long something took, counted in buckets that double: up to 1/4 us, 1/2 us, ... 2^24 us (17
// s), longer. Thread-safe; made for what is observed some 100,000 times a second at most.
class LatencyHistogram {
 public:
  static constexpr int kBuckets = 28;
  // Of bucket i; the last one has none.
  static constexpr double LimitMicroseconds(int i) {
    return i < 2 ? 1.0 / (4 >> i) : static_cast<double>(int64_t{1} << (i - 2));
  }

  void Add(std::chrono::nanoseconds took) {
    int bucket = 0;
    for (int64_t limit = 250; bucket + 1 < kBuckets && took.count() > limit; limit *= 2) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(took.count(), std::memory_order_relaxed);
  }

  // {"sum_us", "buckets"}: counts by bucket.
  nlohmann::json ToJson() const {
    nlohmann::json buckets = nlohmann::json::array();
    for (const auto& count : counts_) buckets.push_back(count.load(std::memory_order_relaxed));
    const auto nanoseconds = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed));
    return {{"sum_us", nanoseconds / 1000}, {"buckets", std::move(buckets)}};
  }

 private:
  std::array<std::atomic<int64_t>, kBuckets> counts_{};
  std::atomic<int64_t> nanoseconds_{0};
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_LATENCY_HISTOGRAM_H_
