#include "cc/storage/eviction_policy.h"

#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using Kind = EvictionPolicy::Kind;

void Evict(EvictionPolicy* policy, int64_t n) {
  for (int64_t i = 0; i < n; ++i) policy->CountEviction();
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

TEST(EvictionPolicyTest, LfuSendsTheRowThatIsUsedLeast) {
  EvictionPolicy policy(Kind::kLfu, 6400);
  std::atomic<uint16_t> counters[2] = {{policy.New()}, {policy.New()}};
  const uint64_t ways[] = {1};
  for (int use = 0; use < 1000; ++use) policy.Touch(counters, ways, 1);
  EXPECT_GT(policy.Coldness(counters[0]), policy.Coldness(counters[1]));
  // A row that was popular once does not stay for that.
  Evict(&policy, 6400 * 4);
  EXPECT_GT(policy.Coldness(counters[1]), policy.Coldness(policy.New()));
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
