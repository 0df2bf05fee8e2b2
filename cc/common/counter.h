#ifndef TF_HPS_CC_COMMON_COUNTER_H_
#define TF_HPS_CC_COMMON_COUNTER_H_

#include <array>
#include <atomic>
#include <cstdint>

namespace tf_hps {

// A count that many threads add to and few read. One cache line per shard: a single atomic would be
// passed between the cores by every lookup.
class Counter {
 public:
  void Add(int64_t n) {
    if (n != 0) shards_[ThreadShard()].value.fetch_add(n, std::memory_order_relaxed);
  }
  int64_t Get() const {
    int64_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr int kShards = 16;
  struct alignas(64) Shard {
    std::atomic<int64_t> value{0};
  };
  static int ThreadShard() {
    static std::atomic<int> next{0};
    thread_local const int shard = next.fetch_add(1, std::memory_order_relaxed) % kShards;
    return shard;
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_COUNTER_H_
