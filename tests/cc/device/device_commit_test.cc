// Lookups on devices while commits of a stream come in: each sees all of one or nothing of it.

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "cc/hierarchy/device_lookup_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/device/device_table.h"
#include "tests/cc/hierarchy/versioned_commits.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;

// A group of one lookup.
struct AskedGroup {
  DeviceTable::Asked asked;
  DeviceLookupGroup group;
};
std::unique_ptr<AskedGroup> AskGroup(DeviceTable* table, const std::vector<Key>& keys) {
  auto prepared = table->Prepare(keys, table->stream());
  EXPECT_TRUE(prepared.ok()) << prepared.status();
  auto asked = std::make_unique<AskedGroup>();
  asked->asked = *std::move(prepared);
  asked->group.Add(std::move(asked->asked.lookup), &table->table()->gate());
  return asked;
}

class DeviceCommitTest : public ::testing::Test {
 protected:
  static CommitGate& Gate() { return CommitGate::Of("test"); }
  // What an update does between two counts of the gate.
  void Commit(const std::vector<Key>& keys, float element) {
    const CommitGate::Show show(&Gate());
    table_.Insert(keys, element);
  }

  DeviceTable table_{nlohmann::json::object({{"capacity_rows", 300}})};
  const int64_t retries_ = Gate().retries();
};

TEST_F(DeviceCommitTest, ALookupThatMissedBeforeACommitIsBegunAnew) {
  table_.Insert({1, 2}, 5);
  table_.Find({1});
  int reads = 0;
  table_.disk().before_find = [&] {
    if (++reads == 1) Commit({1, 2}, 6);
  };
  const auto asked = AskGroup(&table_, {1, 2});
  ASSERT_TRUE(DeviceTable::Run(&asked->group, table_.stream()).ok());
  EXPECT_THAT(DeviceTable::Elements(&asked->asked), ElementsAre(6, 6)) << "1 was a hit of 5";
  EXPECT_EQ(Gate().retries(), retries_ + 1);
}

TEST_F(DeviceCommitTest, ALookupThatHitsIsNot) {
  table_.Insert({1, 2}, 5);
  table_.Find({1, 2});
  const auto asked = AskGroup(&table_, {1, 2});
  ASSERT_EQ(*asked->group.Step(), WaitsFor::kDevice);
  Commit({1, 2}, 6);
  ASSERT_EQ(*asked->group.Step(), WaitsFor::kNothing);
  EXPECT_THAT(DeviceTable::Elements(&asked->asked), ElementsAre(5, 5));
  EXPECT_EQ(Gate().retries(), retries_);
}

TEST_F(DeviceCommitTest, TheFirstStepDoesNotWaitForACommit) {
  table_.Insert({1}, 5);
  const auto asked = AskGroup(&table_, {1});
  {
    const CommitGate::Show show(&Gate());
    ASSERT_EQ(*asked->group.Step(), WaitsFor::kStores);
  }
  ASSERT_TRUE(DeviceTable::Run(&asked->group, table_.stream()).ok());
  EXPECT_THAT(DeviceTable::Elements(&asked->asked), ElementsAre(5));
}

TEST_F(DeviceCommitTest, WhoNeverGetsThroughPinsACommit) {
  table_.Insert({1}, 0);
  int reads = 0;
  table_.disk().before_find = [&] {
    if (++reads <= CommitGate::kAttempts) Commit({1}, static_cast<float>(reads));
  };
  auto asked = AskGroup(&table_, {1});
  ASSERT_TRUE(DeviceTable::Run(&asked->group, table_.stream()).ok());
  EXPECT_THAT(DeviceTable::Elements(&asked->asked), ElementsAre(CommitGate::kAttempts));
  EXPECT_EQ(reads, CommitGate::kAttempts + 1);
  std::atomic<bool> shown{false};
  std::thread next([&] {
    const CommitGate::Show show(&Gate());
    shown = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(shown) << "pinned as long as the lookup is there";
  asked.reset();
  next.join();
}

TEST_F(DeviceCommitTest, BagsAreBegunAnewToo) {
  table_.Insert({1}, 1);
  table_.Insert({2}, 2);
  table_.Find({1});
  auto cache = table_.Cache();
  ASSERT_TRUE(cache.ok());
  const void* row = *(*cache)->KeepRow(table_.handle().default_row(ElementType::kFloat32));
  TestArray<Key> keys({1, 2}, true, table_.stream());
  TestArray<int64_t> splits({0, 1, 2}, true, table_.stream());
  TestArray<float> out(std::vector<float>(2 * DeviceTable::kDim), true, table_.stream());
  const CacheBatch batch = {keys.data(), 2, {out.data(), ElementType::kFloat32, row}, false};
  const CacheBags bags = {splits.data(), 2, nullptr, Combiner::kSum,
                          static_cast<const float*>(row)};
  DeviceLookupGroup group;
  group.Add(std::make_unique<DeviceBagLookup>(table_.table(), *cache, batch, bags, table_.stream()),
            &table_.table()->gate());
  int reads = 0;
  table_.disk().before_find = [&] {
    if (++reads == 1) Commit({1, 2}, 6);
  };
  ASSERT_TRUE(DeviceTable::Run(&group, table_.stream()).ok());
  const std::vector<float> sums = out.Read();
  EXPECT_EQ(sums[0], 6);
  EXPECT_EQ(sums[DeviceTable::kDim], 6);
}

struct CommitTiers {
  const char* name;
  bool memory, rocksdb;
  int capacity_rows;  // of each device's cache
};

class DeviceAtomicityTest : public ::testing::TestWithParam<CommitTiers> {};

TEST_P(DeviceAtomicityTest, AGroupSeesAllOfACommitOrNothing) {
  constexpr int kReaders = 2;
  ScarceMemory memory;
  std::vector<TestStream> streams(kReaders);  // each has a device
  FollowingTables tables;
  tables.config()["gpu_cache"] = {{"capacity_rows", GetParam().capacity_rows}};
  if (!GetParam().memory) tables.config().erase("memory");
  if (!GetParam().rocksdb) {
    tables.config().erase("rocksdb");
    for (auto& table : tables.config()["tables"]) table["generation"] = "g1";
  }
  tables.Open();
  const auto look_up = [&](int r, const std::vector<Key>& keys) {
    const cudaStream_t stream = streams[r].get();
    CacheDevice device;
    device.id = &streams[r];
    device.memory = &memory;
    device.stream = stream;
    device.new_cache = &NewCudaCache;
    TestArray<Key> device_keys(keys, true, stream);
    std::vector<std::unique_ptr<TestArray<float>>> rows;
    DeviceLookupGroup group;
    for (const char* name : {"movies", "users"}) {
      TableHandle& handle = tables[name];
      DeviceCache* const cache = *handle.table().CacheOn(device);
      const void* row = *cache->KeepRow(handle.default_row(ElementType::kFloat32));
      rows.push_back(std::make_unique<TestArray<float>>(
          std::vector<float>(keys.size() * FollowingTables::kDim, -1), true, stream));
      const CacheRows out = {rows.back()->data(), ElementType::kFloat32, row};
      group.Add(
          std::make_unique<DeviceRowLookup>(
              &handle.table(), cache, CacheBatch{device_keys.data(), keys.size(), out}, stream),
          &handle.table().gate());
    }
    const absl::Status status = DeviceTable::Run(&group, stream);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<float> versions;
    for (const auto& of_table : rows) {
      const std::vector<float> found = of_table->Read();
      for (size_t i = 0; i < found.size(); ++i) {
        if (i % FollowingTables::kDim == 0) versions.push_back(found[i]);
        EXPECT_EQ(found[i], versions.back()) << "a torn row";
      }
    }
    return versions;
  };
  VersionedCommits(&tables).Run(/*commits=*/20, kReaders, /*keys_a_lookup=*/8, /*enough=*/50,
                                look_up);
}

INSTANTIATE_TEST_SUITE_P(CommitTiers, DeviceAtomicityTest,
                         ::testing::Values(CommitTiers{"memory", true, false, 400},
                                           CommitTiers{"rocksdb", false, true, 400},
                                           CommitTiers{"evicting", true, true, 40}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tf_hps
