#include "cc/storage/frequency_sketch.h"

#include <map>
#include <random>

#include "gtest/gtest.h"

namespace tf_hps {
namespace {

TEST(FrequencySketchTest, IsNeverTooLowAndSeldomTooHigh) {
  constexpr int64_t kKeys = 10000;
  FrequencySketch sketch(kKeys);
  std::map<Key, uint32_t> counts;
  std::mt19937_64 random(1);
  for (int i = 0; i < 30000; ++i) {
    const Key key = static_cast<Key>(random() % kKeys) - kKeys / 2;
    ++counts[key];
    EXPECT_GE(sketch.Count(key), counts[key]);
  }
  int too_high = 0;
  for (const auto& [key, count] : counts) too_high += sketch.Count(key) > count + 1 ? 1 : 0;
  EXPECT_LT(too_high, kKeys / 20);
}

TEST(FrequencySketchTest, RaisesAndDoesNotLower) {
  FrequencySketch sketch(100);
  sketch.Raise(7, 40);
  sketch.Raise(7, 20);
  EXPECT_EQ(sketch.Count(7), 41);
}

TEST(FrequencySketchTest, AgesAllLinesInTurn) {
  FrequencySketch sketch(1000);
  for (Key key = 0; key < 100; ++key) sketch.Raise(key, 80);
  for (uint64_t line = 0; line < sketch.lines(); ++line) sketch.Age(1);
  for (Key key = 0; key < 100; ++key) {
    const uint32_t count = sketch.Count(key);
    EXPECT_GE(count, 41u);
    EXPECT_LE(count, 46u);
  }
}

TEST(FrequencySketchTest, TheSmallestOneCountsToo) {
  FrequencySketch sketch(0);
  EXPECT_EQ(sketch.Count(INT64_MIN), 1);
  EXPECT_EQ(sketch.Count(INT64_MIN), 2);
}

}  // namespace
}  // namespace tf_hps
