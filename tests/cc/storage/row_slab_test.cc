#include "cc/storage/row_slab.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

TEST(RowSlabTest, RowsStartAtCacheLinesWhereThatIsCheap) {
  EXPECT_EQ(RowSlab::StrideFor(1), 8);
  EXPECT_EQ(RowSlab::StrideFor(20), 24);
  EXPECT_EQ(RowSlab::StrideFor(60), 64);
  EXPECT_EQ(RowSlab::StrideFor(68), 72);
  EXPECT_EQ(RowSlab::StrideFor(256), 256);
  EXPECT_EQ(RowSlab::StrideFor(260), 264);
  EXPECT_EQ(RowSlab::StrideFor(1600), 1600);
  EXPECT_EQ(RowSlab::StrideFor(4000), 4032);
}

TEST(RowSlabTest, EveryRowIsGivenOutOnceAndAgainWhenFreed) {
  auto slab = RowSlab::Create(256, 1000, 0);
  ASSERT_TRUE(slab.ok()) << slab.status();
  std::set<uint32_t> rows;
  for (int i = 0; i < 1000; ++i) rows.insert(*(*slab)->Allocate());
  EXPECT_EQ(rows.size(), 1000);
  EXPECT_EQ(*rows.rbegin(), 999);
  EXPECT_EQ(*(*slab)->Allocate(), RowSlab::kNoRow);
  EXPECT_EQ((*slab)->rows(), 1000);
  (*slab)->Free(17);
  EXPECT_EQ((*slab)->rows(), 999);
  EXPECT_EQ(*(*slab)->Allocate(), 17);
  EXPECT_EQ(*(*slab)->Allocate(), RowSlab::kNoRow);
}

TEST(RowSlabTest, MemoryComesAsRowsDo) {
  auto slab = RowSlab::Create(256, 0, 0);
  ASSERT_TRUE(slab.ok()) << slab.status();
  EXPECT_EQ((*slab)->bytes(), 0);
  for (int i = 0; i < 100; ++i) {
    const uint32_t row = *(*slab)->Allocate();
    const std::vector<uint8_t> bytes(256, static_cast<uint8_t>(i));
    (*slab)->Write(row, bytes.data());
  }
  EXPECT_LE((*slab)->bytes(), 64 << 10);
  EXPECT_EQ((*slab)->row(99)[255], 99);
  EXPECT_EQ((*slab)->row(0)[0], 0);
}

TEST(RowSlabTest, AWriteEndsWithTheRow) {
  auto slab = RowSlab::Create(6, 4, 0);
  ASSERT_TRUE(slab.ok()) << slab.status();
  const uint32_t first = *(*slab)->Allocate();
  const uint32_t second = *(*slab)->Allocate();
  (*slab)->Write(second, reinterpret_cast<const uint8_t*>("second"));
  (*slab)->Write(first, reinterpret_cast<const uint8_t*>("first!"));
  EXPECT_EQ(std::memcmp((*slab)->row(first), "first!", 6), 0);
  EXPECT_EQ(std::memcmp((*slab)->row(second), "second", 6), 0);
}

TEST(RowSlabTest, BelowALimitItIsASmallerSlab) {
  auto made = RowSlab::Create(256, 100000, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  RowSlab& slab = **made;
  std::vector<uint8_t> bytes(256);
  for (uint32_t row = 0; row < 100000; ++row) {
    ASSERT_EQ(*slab.Allocate(), row);
    std::fill(bytes.begin(), bytes.end(), static_cast<uint8_t>(row * 7));
    slab.Write(row, bytes.data());
  }
  slab.SetLimit(20000);
  EXPECT_EQ(*slab.Allocate(), RowSlab::kNoRow);
  EXPECT_EQ(slab.Lower(19999), 19999);
  EXPECT_EQ(slab.Lower(99999), 99999) << "no number is free yet";
  // 15000 stay at each end.
  for (uint32_t row = 15000; row < 85000; ++row) slab.Free(row);
  EXPECT_EQ(slab.rows(), 30000);
  EXPECT_EQ(*slab.Allocate(), RowSlab::kNoRow);
  for (uint32_t row = 85000; row < 95000; ++row) slab.Free(row);
  std::set<uint32_t> lowered;
  for (uint32_t row = 95000; row < 100000; ++row) {
    const uint32_t lower = slab.Lower(row);
    ASSERT_LT(lower, 20000);
    ASSERT_EQ(slab.row(lower)[255], static_cast<uint8_t>(row * 7));
    lowered.insert(lower);
  }
  EXPECT_EQ(lowered.size(), 5000);
  EXPECT_EQ(*lowered.begin(), 15000);
  ASSERT_TRUE(slab.GiveBack().ok());
  EXPECT_LE(slab.bytes(), 20000 * 256 + (2 << 20));
  EXPECT_EQ(slab.row(99999)[255], 0) << "who reads it late reads zeros";
  EXPECT_EQ(slab.rows(), 20000);
  EXPECT_EQ(*slab.Allocate(), RowSlab::kNoRow);

  slab.Free(17);
  slab.SetLimit(50000);
  std::set<uint32_t> more;
  for (int i = 0; i < 30001; ++i) more.insert(*slab.Allocate());
  EXPECT_EQ(more.size(), 30001);
  EXPECT_EQ(*more.begin(), 17);
  EXPECT_EQ(*more.rbegin(), 49999);
  EXPECT_EQ(*slab.Allocate(), RowSlab::kNoRow);
}

TEST(RowSlabTest, ABoundThatNoAddressSpaceHoldsIsAnError) {
  const auto slab = RowSlab::Create(size_t{1} << 30, RowSlab::kMaxRows, 0);
  EXPECT_EQ(slab.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tf_hps
