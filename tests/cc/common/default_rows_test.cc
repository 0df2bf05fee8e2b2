#include "cc/common/default_rows.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;

constexpr Key kLowest = std::numeric_limits<Key>::min();
constexpr Key kHighest = std::numeric_limits<Key>::max();

std::vector<uint32_t> BucketsOf(uint32_t count, BucketRule rule, const std::vector<Key>& keys) {
  std::vector<uint32_t> found;
  for (const Key key : keys) found.push_back(DefaultBuckets{count, rule}.Of(key));
  return found;
}

TEST(DefaultRowsTest, OneRowIsThatOfEveryId) {
  for (const BucketRule rule :
       {BucketRule::kFloorMod, BucketRule::kFingerprint, BucketRule::kDecimalFingerprint}) {
    EXPECT_THAT(BucketsOf(1, rule, {kLowest, -1, 0, 5, kHighest}), ElementsAre(0, 0, 0, 0, 0));
  }
}

TEST(DefaultRowsTest, NegativeIdsCountFromTheEndWhereTheIdItselfCounts) {
  EXPECT_THAT(BucketsOf(5, BucketRule::kFloorMod, {0, 4, 5, -1, -5, -6, kLowest, kHighest}),
              ElementsAre(0, 4, 0, 4, 0, 4, 2, 2));
}

TEST(DefaultRowsTest, FingerprintsHaveNoSign) {
  EXPECT_THAT(BucketsOf(10, BucketRule::kFingerprint, {0, 13, -1, kLowest, kHighest}),
              ElementsAre(0, 3, 5, 8, 7));
}

// As tf.strings.to_hash_bucket_fast(tf.strings.as_string(ids), 1000003) says: texts of 1 to 20
// bytes.
TEST(DefaultRowsTest, DigitsAreHashedAsTensorFlowHashesThem) {
  EXPECT_THAT(
      BucketsOf(
          1000003, BucketRule::kDecimalFingerprint,
          {0, 7, -2, 300, 4242, -1234567, 123456789012, -1234567890123456, kHighest, kLowest}),
      ElementsAre(537292, 929154, 770841, 74122, 603012, 454908, 20301, 438067, 121738, 400334));
}

}  // namespace
}  // namespace tf_hps
