#include "cc/storage/row_slab.h"

#include <cstring>
#include <set>

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

TEST(RowSlabTest, ABoundThatNoAddressSpaceHoldsIsAnError) {
  const auto slab = RowSlab::Create(size_t{1} << 30, RowSlab::kMaxRows, 0);
  EXPECT_EQ(slab.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tf_hps
