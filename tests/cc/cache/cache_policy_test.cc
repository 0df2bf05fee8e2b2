// What the policies keep, against exact LRU of the same capacity that is given the same batches.
#include <algorithm>
#include <cmath>
#include <list>
#include <random>
#include <unordered_map>

#include "tests/cc/cache/cache_verbs.h"

namespace tf_hps {
namespace {

constexpr size_t kKeys = 3000;
constexpr size_t kCapacity = 300;  // 20 sets
constexpr size_t kBatch = 100;
constexpr size_t kWarmUp = 40;  // batches
constexpr size_t kBatches = 120;

// Key k is asked for in proportion to 1 / (k + 1) ** 1.05.
class Zipf {
 public:
  Zipf() : below_(kKeys) {
    double sum = 0;
    for (size_t k = 0; k < kKeys; ++k) below_[k] = sum += std::pow(k + 1.0, -1.05);
  }
  std::vector<Key> Batch() {
    std::vector<Key> keys(kBatch);
    for (Key& key : keys) {
      const double at = static_cast<double>(random_() >> 11) * 0x1p-53 * below_.back();
      key = std::upper_bound(below_.begin(), below_.end(), at) - below_.begin();
    }
    return keys;
  }

 private:
  std::vector<double> below_;
  std::mt19937_64 random_{42};
};

class ExactLru {
 public:
  // Rows come in after the batch, as in a cache that a Fill follows.
  size_t Misses(const std::vector<Key>& keys) {
    size_t misses = 0;
    for (Key key : keys) misses += places_.count(key) == 0;
    for (Key key : keys) {
      const auto known = places_.find(key);
      if (known != places_.end()) order_.erase(known->second);
      order_.push_front(key);
      places_[key] = order_.begin();
      if (order_.size() <= kCapacity) continue;
      places_.erase(order_.back());
      order_.pop_back();
    }
    return misses;
  }

 private:
  std::list<Key> order_;  // youngest first
  std::unordered_map<Key, std::list<Key>::iterator> places_;
};

class CachePolicyTest : public ::testing::TestWithParam<CachePolicy> {};

TEST_P(CachePolicyTest, HitRateUnderZipfIsThatOfExactLru) {
#ifdef TF_HPS_CUDA_EMULATION
  cuda_emulation::Seed(1);
#endif
  CacheOptions options;
  options.table = "movie_id";
  options.embedding_dim = 1;
  options.capacity_rows = kCapacity;
  options.policy = GetParam();
  CachedTable table(options, true);
  for (size_t k = 0; k < kKeys; ++k) table.stored()[static_cast<Key>(k)] = static_cast<float>(k);
  Zipf zipf;
  ExactLru exact;
  size_t misses = 0;
  size_t exact_misses = 0;
  for (size_t batch = 0; batch < kBatches; ++batch) {
    const std::vector<Key> keys = zipf.Batch();
    table.Find(keys, table.home());
    const size_t missed_by_exact = exact.Misses(keys);
    if (batch < kWarmUp) continue;
    misses += table.misses();
    exact_misses += missed_by_exact;
  }
  const double asked = (kBatches - kWarmUp) * kBatch;
  const double hit_rate = 1 - static_cast<double>(misses) / asked;
  const double exact_hit_rate = 1 - static_cast<double>(exact_misses) / asked;
  RecordProperty("hit_rate_of_exact_lru", std::to_string(hit_rate / exact_hit_rate));
  EXPECT_GE(hit_rate, 0.98 * exact_hit_rate) << hit_rate << " beside " << exact_hit_rate;
}

INSTANTIATE_TEST_SUITE_P(Policies, CachePolicyTest,
                         ::testing::Values(CachePolicy::kLru, CachePolicy::kLfu));

}  // namespace
}  // namespace tf_hps
