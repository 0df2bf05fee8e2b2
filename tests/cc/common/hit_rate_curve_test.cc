#include "cc/common/hit_rate_curve.h"

#include <algorithm>
#include <list>
#include <random>
#include <vector>

#include "cc/common/key_choice.h"
#include "cc/common/reuse_depths.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAreArray;

std::vector<Key> RandomKeys(int64_t rows, size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Key> keys(n);
  for (Key& key : keys) key = static_cast<Key>(random() % static_cast<uint64_t>(rows)) * 977 - 55;
  return keys;
}

TEST(ReuseDepthsTest, AreTheNumbersOfKeysSinceTheLastUse) {
  const std::vector<Key> keys = {5, 6, 5, 7, 7, 6, 5, -1};
  std::vector<int> depths;
  for (const ReuseDepth& depth : ReuseDepths(keys)) {
    depths.push_back(static_cast<int>(depth.keys) + (depth.is_first ? 100 : 0));
  }
  EXPECT_THAT(depths, ElementsAreArray({100, 101, 1, 102, 0, 2, 2, 103}));
  EXPECT_TRUE(ReuseDepths({}).empty());
}

TEST(ReuseDepthsTest, AreThoseOfAListThatMovesKeysToItsFront) {
  const std::vector<Key> keys = RandomKeys(60, 3000, 1);
  std::list<Key> recent;
  size_t position = 0;
  for (const ReuseDepth& depth : ReuseDepths(keys)) {
    const Key key = keys[position++];
    const auto at = std::find(recent.begin(), recent.end(), key);
    ASSERT_EQ(depth.is_first, at == recent.end()) << position;
    ASSERT_EQ(depth.keys, std::distance(recent.begin(), at)) << position;
    if (at != recent.end()) recent.erase(at);
    recent.push_front(key);
  }
}

double RateAt(const HitRateCurve& curve, int64_t capacity) {
  for (const HitRateCurve::Point& point : curve.Points()) {
    if (point.capacity == capacity) return point.hit_rate;
  }
  ADD_FAILURE() << "the curve has no capacity " << capacity;
  return -1;
}

TEST(HitRateCurveTest, NothingIsKnownOfFewLookups) {
  HitRateCurve curve;
  EXPECT_TRUE(curve.Points().empty());
  curve.Add(ReuseDepths(RandomKeys(10, 50, 1)), 0, 0);
  EXPECT_TRUE(curve.Points().empty());
}

TEST(HitRateCurveTest, ALoopHitsWhereAllOfItFits) {
  std::vector<Key> keys;
  for (int i = 0; i < 20'000; ++i) keys.push_back(i % 1000);
  HitRateCurve curve;
  curve.Add(ReuseDepths(keys), 0, 0);
  EXPECT_EQ(RateAt(curve, 724), 0);
  EXPECT_NEAR(RateAt(curve, 1024), 1, 0.01);
}

// The first lookups of a window are of keys that it did not see before: that is no miss.
TEST(HitRateCurveTest, AWindowsBeginningIsNoMiss) {
  HitRateCurve curve;
  curve.Add(ReuseDepths(RandomKeys(2000, 6000, 2)), 0, 0);
  EXPECT_NEAR(RateAt(curve, 512), 512 / 2000., 0.02);
  EXPECT_NEAR(RateAt(curve, 1448), 1448 / 2000., 0.02);
}

TEST(HitRateCurveTest, RepeatsHitInACacheOfOneRow) {
  HitRateCurve curve;
  curve.Add(ReuseDepths(RandomKeys(1000, 6000, 3)), 18'000, 0);
  EXPECT_NEAR(RateAt(curve, 1), 0.75, 0.01);
  EXPECT_NEAR(RateAt(curve, 512), 0.75 + 0.25 * 0.512, 0.01);
}

TEST(HitRateCurveTest, SparseWindowsContinueADenseOne) {
  constexpr int64_t kRows = 40'000;
  HitRateCurve curve;
  curve.Add(ReuseDepths(RandomKeys(kRows, 30'000, 4)), 0, 0);
  const std::vector<Key> keys = RandomKeys(kRows, 400'000, 5);
  std::vector<Key> chosen(keys.size() + kChoiceSlack);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const size_t n = ChooseKeysPortable()(keys.data(), keys.size(), {seed, 3}, chosen.data());
    curve.Add(ReuseDepths({chosen.data(), n}), 0, 3);
  }
  for (const int64_t capacity : {1024, 4096, 8192, 32'768}) {
    EXPECT_NEAR(RateAt(curve, capacity), static_cast<double>(capacity) / kRows, 0.02) << capacity;
  }
}

TEST(HitRateCurveTest, WhatWasLongAgoCountsLess) {
  HitRateCurve curve;
  for (int i = 0; i < 8; ++i) curve.Add(ReuseDepths(RandomKeys(4000, 12'000, i)), 0, 0);
  EXPECT_NEAR(RateAt(curve, 512), 0.128, 0.02);
  for (int i = 0; i < 25; ++i) curve.Add(ReuseDepths(RandomKeys(1000, 12'000, i)), 0, 0);
  EXPECT_NEAR(RateAt(curve, 512), 0.512, 0.04);
}

class KeyChoiceTest : public ::testing::TestWithParam<CpuIsa> {};

TEST_P(KeyChoiceTest, AllInstructionSetsChooseTheSameKeysInTheirOrder) {
  std::mt19937_64 random(6);
  std::vector<Key> keys(1003);
  for (Key& key : keys) key = static_cast<Key>(random());
  keys[0] = INT64_MIN;
  keys[1] = INT64_MAX;
  for (const int log2_of : {0, 1, 3, 6}) {
    const KeyChoice choice(random(), log2_of);
    for (size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, keys.size()}) {
      std::vector<Key> expected;
      for (size_t i = 0; i < n; ++i) {
        if (choice.Has(keys[i])) expected.push_back(keys[i]);
      }
      std::vector<Key> chosen(n + kChoiceSlack);
      chosen.resize(SelectChooseKeys(GetParam())(keys.data(), n, choice, chosen.data()));
      EXPECT_EQ(chosen, expected) << n << " keys, one in 2^" << log2_of;
      if (log2_of == 0) {
        EXPECT_EQ(chosen.size(), n);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, KeyChoiceTest,
                         ::testing::Values(CpuIsa::kPortable,
                                           BestCpuIsa() >= CpuIsa::kAvx2 ? CpuIsa::kAvx2
                                                                         : CpuIsa::kPortable,
                                           BestCpuIsa()));

// Ids are numbered, or have a feature's number in their high bits, or some low bits free.
TEST(KeyChoiceRatesTest, IdsOfEveryPatternAreChosenAtTheRate) {
  constexpr int kKeys = 1 << 16;
  for (const int shift : {0, 1, 8, 16, 24, 32, 40, 47}) {
    std::vector<Key> keys(kKeys), chosen(kKeys + kChoiceSlack);
    for (int i = 0; i < kKeys; ++i) keys[i] = static_cast<Key>(i) << shift;
    double sum = 0;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const KeyChoice choice(seed * 0x9e3779b97f4a7c15, 6);
      const size_t n = ChooseKeysPortable()(keys.data(), keys.size(), choice, chosen.data());
      // 1024 are expected, five times the deviation of a random choice aside.
      EXPECT_NEAR(static_cast<double>(n), kKeys / 64., 160) << shift << ", seed " << seed;
      sum += static_cast<double>(n);
    }
    EXPECT_NEAR(sum / 8, kKeys / 64., 60) << shift;
  }
}

}  // namespace
}  // namespace tf_hps
