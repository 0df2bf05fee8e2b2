#include "cc/storage/address_range.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

AddressRange Reserved(size_t bytes, size_t expected) {
  auto range = AddressRange::Reserve(bytes, expected);
  EXPECT_TRUE(range.ok()) << range.status();
  return *std::move(range);
}

void CommitAndWrite(AddressRange* range, size_t bytes) {
  ASSERT_TRUE(range->Commit(bytes).ok());
  ASSERT_GE(range->committed(), bytes);
  std::memset(range->data(), 1, bytes);
}

// Of the range's first `bytes`, those that the kernel keeps in huge pages (/proc/self/smaps).
size_t HugeBytes(const AddressRange& range, size_t bytes) {
  const uintptr_t from = reinterpret_cast<uintptr_t>(range.data()), to = from + bytes;
  std::ifstream maps("/proc/self/smaps");
  size_t huge = 0;
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      inside = begin >= from && begin < to;
    } else if (inside && std::sscanf(line.c_str(), "AnonHugePages: %lu kB", &kib) == 1) {
      huge += kib << 10;
    }
  }
  return huge;
}

// Whether this kernel gives them to who asks.
bool HasHugePages() {
  AddressRange probe = Reserved(4 * kMiB, 4 * kMiB);
  CommitAndWrite(&probe, 4 * kMiB);
  return HugeBytes(probe, 4 * kMiB) > 0;
}

TEST(AddressRangeTest, MemoryComesInStepsAndNeverMoves) {
  AddressRange range = Reserved(100 * kMiB, 0);
  uint8_t* const data = range.data();
  EXPECT_EQ(range.committed(), 0);
  CommitAndWrite(&range, 1);
  EXPECT_EQ(range.committed(), 64 << 10);
  CommitAndWrite(&range, 3 * kMiB);
  EXPECT_EQ(range.committed(), 4 * kMiB);
  EXPECT_EQ(range.data(), data);
  EXPECT_EQ(data[0], 1);
  EXPECT_EQ(data[3 * kMiB], 0);
}

TEST(AddressRangeTest, MemoryGoesBackFromTheEndInSteps) {
  AddressRange range = Reserved(100 * kMiB, 0);
  CommitAndWrite(&range, 30 * kMiB);
  ASSERT_TRUE(range.GiveBack(5 * kMiB, 16 * kMiB).ok());
  EXPECT_EQ(range.committed(), 14 * kMiB);
  EXPECT_EQ(range.data()[14 * kMiB - 1], 1);
  EXPECT_EQ(range.data()[14 * kMiB], 0) << "who reads it late reads zeros";
  ASSERT_TRUE(range.GiveBack(5 * kMiB, 16 * kMiB).ok());
  EXPECT_EQ(range.committed(), 6 * kMiB);
  ASSERT_TRUE(range.GiveBack(5 * kMiB, 16 * kMiB).ok());
  EXPECT_EQ(range.committed(), 6 * kMiB);
  CommitAndWrite(&range, 40 * kMiB);
  EXPECT_EQ(range.data()[40 * kMiB - 1], 1);

  AddressRange small = Reserved(kMiB, kMiB);
  CommitAndWrite(&small, kMiB);
  ASSERT_TRUE(small.GiveBack(100 << 10, kMiB).ok());
  EXPECT_EQ(small.committed(), 128 << 10);
}

TEST(AddressRangeTest, ASmallRangeThatIsExpectedTakesNoHugePage) {
  AddressRange range = Reserved(kMiB, kMiB);
  CommitAndWrite(&range, kMiB);
  EXPECT_EQ(range.committed(), kMiB);
  EXPECT_EQ(HugeBytes(range, kMiB), 0);
}

TEST(AddressRangeTest, AHugePageThatIsThreeQuartersUsedIsOne) {
  if (!HasHugePages()) GTEST_SKIP() << "no huge pages on this machine";
  const size_t bytes = 3 * kMiB + kMiB / 2;
  AddressRange range = Reserved(bytes, bytes);
  CommitAndWrite(&range, bytes);
  EXPECT_EQ(range.committed(), 4 * kMiB);
  EXPECT_EQ(HugeBytes(range, bytes), 4 * kMiB);
}

TEST(AddressRangeTest, FullSmallPagesArePutTogether) {
  AddressRange range = Reserved(100 * kMiB, 0);
  for (size_t bytes = kMiB / 2; bytes <= 5 * kMiB; bytes += kMiB / 2) {
    CommitAndWrite(&range, bytes);
  }
  for (size_t i = 0; i < 5 * kMiB; ++i) ASSERT_EQ(range.data()[i], 1) << i;
  // Older kernels do it in the background, some time.
  const size_t huge = HugeBytes(range, 5 * kMiB);
  if (huge == 0) GTEST_SKIP() << "no MADV_COLLAPSE on this machine";
  EXPECT_EQ(huge, 4 * kMiB);
}

TEST(AddressRangeTest, MoreThanTheAddressSpaceHoldsIsRefused) {
  auto range = AddressRange::Reserve(size_t{1} << 60, 0);
  ASSERT_FALSE(range.ok());
  EXPECT_EQ(range.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(range.status().message(), testing::HasSubstr("1152921504606846976 bytes"));
}

}  // namespace
}  // namespace tf_hps
