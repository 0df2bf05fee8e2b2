#include "cc/storage/eviction_policy.h"

#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using Kind = EvictionPolicy::Kind;

void Evict(EvictionPolicy* policy, int64_t n) {
  for (int64_t i = 0; i < n; ++i) policy->Evict(i, policy->New());
}

TEST(EvictionPolicyTest, LruSendsTheRowThatWasUsedLongestAgo) {
  EvictionPolicy policy(Kind::kLru, 6400);
  std::atomic<uint16_t> counters[3] = {{policy.New()}, {policy.New()}, {policy.New()}};
  Evict(&policy, 1000);
  const uint64_t ways[] = {1, EvictionPolicy::kNoWay};
  policy.Touch(counters, ways, 2);
  Evict(&policy, 1000);
  EXPECT_GT(policy.Coldness(counters[0]), policy.Coldness(counters[1]));
  EXPECT_GT(policy.Coldness(counters[1]), policy.Coldness(policy.New()));
  EXPECT_EQ(policy.Coldness(counters[0]), policy.Coldness(counters[2]));
}

TEST(EvictionPolicyTest, APeriodTellsLruRowsApartWhereNothingIsEvicted) {
  EvictionPolicy policy(Kind::kLru, 6400);
  std::atomic<uint16_t> counters[2] = {{policy.New()}, {policy.New()}};
  policy.BeginPeriod();
  const uint64_t ways[] = {1};
  policy.Touch(counters, ways, 1);
  EXPECT_GT(policy.Coldness(counters[0]), policy.Coldness(counters[1]));
}

TEST(EvictionPolicyTest, OfAMomentColdnessDoesNotGrowWithEvictions) {
  EvictionPolicy policy(Kind::kLru, 6400);
  const uint16_t row = policy.New();
  Evict(&policy, 1000);
  const uint16_t moment = policy.Now();
  const uint32_t coldness = policy.Coldness(row);
  EXPECT_GT(coldness, 0);
  Evict(&policy, 1000);
  EXPECT_GT(policy.Coldness(row), coldness);
  EXPECT_EQ(policy.Coldness(row, moment), coldness);
  EXPECT_EQ(policy.Coldness(policy.New(), moment), 0) << "came since";
}

TEST(EvictionPolicyTest, LruAdmitsEveryKey) {
  EvictionPolicy policy(Kind::kLru, 100);
  EXPECT_TRUE(policy.Admits(policy.CountMiss(7), policy.New()));
}

TEST(EvictionPolicyTest, LfuSendsTheRowThatIsUsedLeast) {
  EvictionPolicy policy(Kind::kLfu, 100);
  std::atomic<uint16_t> counters[2] = {{policy.New()}, {policy.New()}};
  const uint64_t ways[] = {1};
  for (int use = 0; use < 100; ++use) policy.Touch(counters, ways, 1);
  EXPECT_GT(policy.Coldness(counters[0]), policy.Coldness(counters[1]));
  // A row that was popular once does not stay for that.
  std::atomic<uint16_t> busy[1] = {{policy.New()}};
  const uint64_t other[] = {0};
  for (int use = 0; use < 100 * 16 * 9; ++use) policy.Touch(busy, other, 1);
  EXPECT_GT(policy.Coldness(counters[1]), policy.Coldness(policy.New()));
  EXPECT_EQ(policy.Coldness(counters[1]), policy.Coldness(counters[0]));
}

TEST(EvictionPolicyTest, LfuAdmitsAKeyThatIsAskedForMoreOftenThanTheRowThatWouldGo) {
  EvictionPolicy policy(Kind::kLfu, 1000);
  const uint16_t row = policy.New(3);
  for (uint32_t asked = 1; asked <= 3; ++asked) {
    EXPECT_EQ(policy.CountMiss(7), asked);
    EXPECT_FALSE(policy.Admits(asked, row));
  }
  EXPECT_TRUE(policy.Admits(policy.CountMiss(7), row));
}

TEST(EvictionPolicyTest, LfuRemembersTheUsesOfARowThatWent) {
  EvictionPolicy policy(Kind::kLfu, 1000);
  policy.Evict(7, policy.New(50));
  EXPECT_EQ(policy.evictions(), 1);
  EXPECT_EQ(policy.CountMiss(7), 51);
  EXPECT_EQ(policy.CountMiss(8), 1);
}

TEST(EvictionPolicyTest, CountsEndAtTheirLargest) {
  EvictionPolicy policy(Kind::kLfu, 1000);
  std::atomic<uint16_t> counters[1] = {{policy.New(1000)}};
  const uint64_t ways[] = {0};
  policy.Touch(counters, ways, 1);
  EXPECT_EQ(policy.Coldness(counters[0]), policy.Coldness(policy.New(255)));
  for (int i = 0; i < 300; ++i) policy.CountMiss(7);
  EXPECT_EQ(policy.CountMiss(7), 255);
}

TEST(EvictionPolicyTest, WhereNothingIsEvictedAUseOfAnLruRowWritesNothing) {
  EvictionPolicy policy(Kind::kLru, 100);
  std::atomic<uint16_t> counters[1] = {{policy.New()}};
  const uint16_t before = counters[0];
  const uint64_t ways[] = {0};
  policy.Touch(counters, ways, 1);
  EXPECT_EQ(counters[0], before);
}

}  // namespace
}  // namespace tf_hps
