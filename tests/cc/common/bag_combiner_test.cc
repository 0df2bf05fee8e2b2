#include "cc/common/bag_combiner.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

TEST(RowSumTest, AllInstructionSetsGiveEqualSums) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const int64_t dim : {1, 3, 4, 15, 16, 17, 31, 64, 65, 100, 128, 333}) {
    for (const size_t n : {0, 1, 2, 7, 40}) {
      std::vector<float> rows(n * dim), weights(n), start(dim);
      for (auto* floats : {&rows, &weights, &start}) {
        for (float& x : *floats) x = normal(random);
      }
      for (const bool weighted : {false, true}) {
        const float* const w = weighted ? weights.data() : nullptr;
        std::vector<float> expected = start;
        for (size_t i = 0; i < n; ++i) {
          for (int64_t j = 0; j < dim; ++j) {
            const volatile float product =
                w == nullptr ? rows[i * dim + j] : rows[i * dim + j] * w[i];
            expected[j] += product;
          }
        }
        for (const CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512}) {
          if (isa > BestCpuIsa()) continue;
          std::vector<float> sums = start;
          SelectAddRows(isa)(rows.data(), w, n, dim, sums.data());
          EXPECT_EQ(std::memcmp(sums.data(), expected.data(), dim * sizeof(float)), 0)
              << CpuIsaName(isa) << ", dim " << dim << ", " << n << " rows";
        }
      }
    }
  }
}

// Rows of one element: 1, 2, 3, ...
class BagCombinerTest : public ::testing::Test {
 protected:
  std::vector<float> Combine(const std::vector<int64_t>& splits, Combiner combiner,
                             const std::vector<float>& weights = {}, size_t at_once = 1) {
    Bags bags;
    bags.splits = splits;
    bags.combiner = combiner;
    if (!weights.empty()) bags.weights = weights.data();
    std::vector<float> rows(splits.back());
    std::iota(rows.begin(), rows.end(), 1.0f);
    std::vector<float> results(bags.size(), -1.0f);
    BagCombiner combining(bags, 0, bags.size(), 1, ElementType::kFloat32,
                          reinterpret_cast<uint8_t*>(results.data()));
    for (size_t i = 0; i < rows.size(); i += at_once) {
      combining.Add(rows.data() + i, std::min(at_once, rows.size() - i));
    }
    combining.Finish();
    return results;
  }
};

TEST_F(BagCombinerTest, CombinesEachBag) {
  const std::vector<int64_t> splits = {0, 2, 3};
  EXPECT_THAT(Combine(splits, Combiner::kSum), ElementsAre(3, 3));
  EXPECT_THAT(Combine(splits, Combiner::kMean), ElementsAre(1.5, 3));
  EXPECT_THAT(Combine(splits, Combiner::kSqrtn), ElementsAre(3 / std::sqrt(2.0f), 3));
  const std::vector<float> weights = {3, -1, 2};
  EXPECT_THAT(Combine(splits, Combiner::kSum, weights), ElementsAre(1, 6));
  EXPECT_THAT(Combine(splits, Combiner::kMean, weights), ElementsAre(0.5, 3));
  EXPECT_THAT(Combine(splits, Combiner::kSqrtn, weights), ElementsAre(1 / std::sqrt(10.0f), 3));
}

TEST_F(BagCombinerTest, EmptyBagsAndWeightsOfZeroGiveZeros) {
  const std::vector<int64_t> splits = {0, 0, 2, 2, 2, 3, 3};
  for (Combiner combiner : {Combiner::kSum, Combiner::kMean, Combiner::kSqrtn}) {
    EXPECT_THAT(Combine(splits, combiner, {0, 0, 0}), Each(0));
  }
  EXPECT_THAT(Combine(splits, Combiner::kMean), ElementsAre(0, 1.5, 0, 0, 3, 0));
  EXPECT_THAT(Combine({0, 2}, Combiner::kMean, {1, -1}), ElementsAre(0));
  EXPECT_THAT(Combine({0, 0, 0}, Combiner::kMean), ElementsAre(0, 0));
}

TEST_F(BagCombinerTest, BlocksMayEndAnywhere) {
  const std::vector<int64_t> splits = {0, 5, 5, 6, 20};
  for (size_t at_once : {1, 2, 3, 7, 20}) {
    EXPECT_EQ(Combine(splits, Combiner::kSum, {}, at_once), Combine(splits, Combiner::kSum));
  }
}

TEST_F(BagCombinerTest, HalfResultsAreRoundedOnce) {
  const std::vector<int64_t> splits = {0, 3};
  Bags bags;
  bags.splits = splits;
  const std::vector<float> rows = {2048, 1, 1};  // in float16, 2048 + 1 is 2048
  uint16_t result = 0;
  BagCombiner combining(bags, 0, 1, 1, ElementType::kFloat16, reinterpret_cast<uint8_t*>(&result));
  combining.Add(rows.data(), 3);
  combining.Finish();
  EXPECT_EQ(result, 0x6801);  // 2050
}

}  // namespace
}  // namespace tf_hps
