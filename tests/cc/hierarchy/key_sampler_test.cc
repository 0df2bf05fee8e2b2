#include "cc/hierarchy/key_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "cc/common/reuse_depths.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

constexpr size_t kSampledBatch = 1024;

std::vector<Key> ZipfLookups(int64_t rows, double exponent, size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> up_to(rows);
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    up_to[r] = sum += std::pow(static_cast<double>(r + 1), -exponent);
  }
  std::vector<Key> by_rank(rows);
  std::iota(by_rank.begin(), by_rank.end(), 0);
  std::shuffle(by_rank.begin(), by_rank.end(), random);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<Key> keys(n);
  for (Key& key : keys) {
    const auto rank = std::lower_bound(up_to.begin(), up_to.end(), uniform(random)) - up_to.begin();
    key = by_rank[std::min<int64_t>(rank, rows - 1)];
  }
  return keys;
}

// A table's share of it: asks, over and over.
class SampledLookups {
 public:
  void Ask(const std::vector<Key>& keys, int times = 1) {
    for (int t = 0; t < times; ++t) {
      for (size_t i = 0; i < keys.size(); i += kSampledBatch) {
        const size_t n = std::min(kSampledBatch, keys.size() - i);
        asked_.Add(static_cast<int64_t>(n));
        sampler_.Record({keys.data() + i, n}, Pending::All(n));
        sampler_.Advance();
      }
    }
  }

  // The largest difference to the share of lookups that hit in an LRU cache that was filled by all
  // of `keys` and is asked for all of them again, at capacities the curve has.
  double WorstError(const std::vector<Key>& keys) {
    std::vector<Key> twice = keys;
    twice.insert(twice.end(), keys.begin(), keys.end());
    std::vector<uint32_t> distances;
    const std::vector<ReuseDepth> depths = ReuseDepths(twice);
    for (size_t i = keys.size(); i < twice.size(); ++i) distances.push_back(depths[i].keys);
    std::sort(distances.begin(), distances.end());
    const nlohmann::json stats = sampler_.Stats();
    double worst = 0;
    for (size_t i = 0; i < stats["capacity_rows"].size(); ++i) {
      const auto capacity = stats["capacity_rows"][i].get<int64_t>();
      const auto hits = std::lower_bound(distances.begin(), distances.end(), capacity);
      const double exact =
          static_cast<double>(hits - distances.begin()) / static_cast<double>(keys.size());
      const double error = std::abs(stats["hit_rates"][i].get<double>() - exact);
      worst = std::max(worst, error);
    }
    last_capacity_ = stats["capacity_rows"].back().get<int64_t>();
    return worst;
  }
  int64_t last_capacity() const { return last_capacity_; }
  KeySampler& sampler() { return sampler_; }
  Counter& asked() { return asked_; }

 private:
  Counter asked_;
  KeySampler sampler_{&asked_};
  int64_t last_capacity_ = 0;
};

TEST(KeySamplerTest, TheCurveIsWithinTwoPointsOfAnLruCache) {
  for (const double exponent : {0.0, 1.05}) {
    SampledLookups lookups;
    const std::vector<Key> keys = ZipfLookups(30'000, exponent, 150'000, 1);
    lookups.Ask(keys, 35);
    EXPECT_LT(lookups.WorstError(keys), 0.02) << "zipf " << exponent;
    EXPECT_GE(lookups.last_capacity(), 8192) << "zipf " << exponent;
  }
}

TEST(KeySamplerTest, TheCurveFollowsAWorkloadThatShifts) {
  SampledLookups lookups;
  const std::vector<Key> before = ZipfLookups(3000, 0.0, 50'000, 2);
  lookups.Ask(before, 8);
  EXPECT_LT(lookups.WorstError(before), 0.02);
  const std::vector<Key> after = ZipfLookups(1000, 0.0, 50'000, 3);
  lookups.asked().Add(int64_t{50} * KeySampler::kShare * KeySampler::kWindow);  // no pauses
  lookups.Ask(after, 50);
  EXPECT_LT(lookups.WorstError(after), 0.04);
}

TEST(KeySamplerTest, BetweenWindowsThereArePauses) {
  SampledLookups lookups;
  const std::vector<Key> keys = ZipfLookups(100, 0.0, KeySampler::kWindow, 4);
  lookups.Ask(keys, 2 * KeySampler::kFree + 2);
  EXPECT_EQ(lookups.sampler().Stats()["windows"], KeySampler::kFree);
  EXPECT_EQ(lookups.sampler().Stats()["one_in"], 0);
  EXPECT_EQ(lookups.sampler().Stats()["sampled_keys"], KeySampler::kFree * KeySampler::kWindow);
  lookups.asked().Add(int64_t{KeySampler::kShare} * KeySampler::kWindow);
  EXPECT_EQ(lookups.sampler().Stats()["one_in"], 1);
}

// A request for one user and its candidates has the user's id for each of them.
TEST(KeySamplerTest, AnIdThatIsRepeatedCountsEachTimeAndFillsNoWindow) {
  SampledLookups lookups;
  std::vector<Key> keys;
  for (const Key user : ZipfLookups(2000, 0.0, 6000, 5)) keys.insert(keys.end(), 100, user);
  lookups.Ask(keys);
  const nlohmann::json stats = lookups.sampler().Stats();
  EXPECT_EQ(stats["capacity_rows"][1], 1);
  EXPECT_NEAR(stats["hit_rates"][1], 0.99, 0.001);
  EXPECT_LT(stats["sampled_keys"], 8000) << "each of 6000, twice where a batch ends in them";
}

TEST(KeySamplerTest, PositionsThatAreNotPendingAreNotAskedFor) {
  Counter asked;
  KeySampler sampler(&asked);
  std::vector<Key> keys(3000);
  std::iota(keys.begin(), keys.end(), 0);
  Pending odd;
  std::vector<uint32_t> positions;
  for (uint32_t i = 1; i < keys.size(); i += 2) positions.push_back(i);
  odd.Assign(positions);
  sampler.Record(keys, odd);
  sampler.Record(keys, Pending::Range(100, 110));
  EXPECT_EQ(sampler.Stats()["sampled_keys"], 1510);
}

TEST(KeySamplerTest, ThreadsRecordWhileWindowsBeginAndEnd) {
  SampledLookups lookups;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&lookups, t] { lookups.Ask(ZipfLookups(2000, 0.0, 100'000, t), 3); });
  }
  for (std::thread& thread : threads) thread.join();
  // How many depends on when threads are stopped: a window waits for who writes to it.
  EXPECT_GE(lookups.sampler().Stats()["windows"], 1);
  // Four threads ask in turns, each uniformly.
  EXPECT_LT(lookups.WorstError(ZipfLookups(2000, 0.0, 100'000, 9)), 0.03);
}

}  // namespace
}  // namespace tf_hps
