// Lookups through a device's cache and the tiers below it, on emulated CUDA.

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/device/device_table.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr float kDefault = DeviceTable::kDefault;

nlohmann::json Exact() { return {{"capacity_rows", 300}}; }
nlohmann::json WithThreshold(double threshold) {
  return {{"capacity_rows", 300}, {"hit_rate_threshold", threshold}};
}

TEST(DeviceCacheTest, MissesComeFromTheTiersBelowAndStay) {
  DeviceTable table(Exact());
  table.Insert({1, 2}, 5);
  EXPECT_THAT(table.Find({2, 9, 1, 2}), ElementsAre(5, kDefault, 5, 5));
  EXPECT_THAT(table.Reads(), ElementsAre(ElementsAre(1, 2, 9))) << "each key once";
  EXPECT_THAT(table.Find({1, 2, 9, 9}), ElementsAre(5, 5, kDefault, kDefault));
  EXPECT_THAT(table.Reads(), SizeIs(1)) << "what nobody knows is remembered too";
  EXPECT_EQ(table.Stats()["rows"], 2);
  EXPECT_EQ(table.Stats()["absent"], 1);
  EXPECT_EQ(table.Stats()["keys"], 8);
  EXPECT_EQ(table.Stats()["misses"], 4);
}

TEST(DeviceCacheTest, AnEmptyBatchAsksNobody) {
  DeviceTable table(Exact());
  EXPECT_THAT(table.Find({}), IsEmpty());
  EXPECT_THAT(table.Reads(), IsEmpty());
}

TEST(DeviceCacheTest, ResidentRowsFollowUpdatesAndErases) {
  DeviceTable table(Exact(), /*devices=*/2);
  table.Insert({1, 2, 3}, 5);
  for (int d : {0, 1}) table.Find({1, 2}, d);
  table.Insert({1, 3}, 6);
  table.Erase({2});
  const size_t reads = table.Reads().size();
  for (int d : {0, 1}) EXPECT_THAT(table.Find({1, 2}, d), ElementsAre(6, kDefault));
  EXPECT_THAT(table.Reads(), SizeIs(reads)) << "the new rows were brought to the devices";
  EXPECT_THAT(table.Find({3}, 1), ElementsAre(6)) << "which was not resident";
  EXPECT_THAT(table.Reads(), SizeIs(reads + 1));
}

TEST(DeviceCacheTest, AnUpdateOfManyEqualKeysLeavesTheLastRow) {
  for (double threshold : {1.0, 0.0}) {
    DeviceTable table(WithThreshold(threshold));
    table.Insert({7}, 1);
    table.Find({7});
    (*table.Cache())->background()->Wait();
    const std::vector<Key> keys = {7, 7};
    const std::vector<float> rows = {2, 2, 2, 2, 3, 3, 3, 3};
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()), 4 * sizeof(float));
    ASSERT_TRUE(table.table()->Apply({keys, view, {}}).ok());
    EXPECT_THAT(table.Find({7}), ElementsAre(3));
  }
}

TEST(DeviceCacheTest, WithoutAWaitMissesGetTheDefaultRowAndComeLater) {
  DeviceTable table(WithThreshold(0));
  table.Insert({1, 2}, 5);
  auto asked = table.Prepare({1, 2, 1}, table.stream());
  ASSERT_TRUE(asked.ok());
  const absl::StatusOr<WaitsFor> next = asked->lookup->Step();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(*next, WaitsFor::kNothing) << "after the first step";
  EXPECT_THAT(DeviceTable::Elements(&*asked), ElementsAre(kDefault, kDefault, kDefault));
  (*table.Cache())->background()->Wait();
  EXPECT_THAT(table.Find({1, 2, 1}), ElementsAre(5, 5, 5));
  (*table.Cache())->background()->Wait();
  EXPECT_EQ(table.Stats()["default_rows_given"], 3);
  EXPECT_EQ(table.Stats()["background"]["rows"], 2);
  EXPECT_THAT(table.Reads(), ElementsAre(ElementsAre(1, 2)));
}

TEST(DeviceCacheTest, TheRateOfTheBatchsPositionsDecides) {
  DeviceTable table(WithThreshold(0.5));
  table.Insert({1, 2, 3, 4}, 5);
  EXPECT_THAT(table.Find({1}), ElementsAre(5)) << "none of one: fetched";
  EXPECT_THAT(table.Find({1, 2, 3}), ElementsAre(5, 5, 5)) << "a third";
  EXPECT_THAT(table.Find({1, 1, 4, 4}), ElementsAre(5, 5, kDefault, kDefault)) << "half";
  (*table.Cache())->background()->Wait();
  EXPECT_THAT(table.Find({4}), ElementsAre(5));
  EXPECT_EQ(table.Stats()["default_rows_given"], 2);
}

TEST(DeviceCacheTest, BagsWithMissingRowsAreTheSameAsOnTheHost) {
  for (double threshold : {1.0, 0.3, 0.0}) {
    DeviceTable table(WithThreshold(threshold));
    table.Insert({1}, 1);
    table.Insert({2}, 2);
    table.Insert({3}, 4);
    auto cache = table.Cache();
    ASSERT_TRUE(cache.ok());
    const void* default_row = *(*cache)->KeepRow(table.handle().default_row(ElementType::kFloat32));
    TestArray<Key> keys({1, 2, 3, 9}, true, table.stream());
    TestArray<int64_t> splits({0, 2, 2, 4}, true, table.stream());
    TestArray<float> out(std::vector<float>(3 * DeviceTable::kDim, -1), true, table.stream());
    const CacheBatch batch = {
        keys.data(), 4, {out.data(), ElementType::kFloat32, default_row}, false};
    const CacheBags bags = {splits.data(), 3, nullptr, Combiner::kSum,
                            static_cast<const float*>(default_row)};
    // The first one brings the rows where it gives default rows.
    for (int round = 0; round < 3; ++round) {
      DeviceBagLookup lookup(table.table(), *cache, batch, bags, table.stream());
      const absl::Status status = DeviceTable::Run(&lookup, table.stream());
      ASSERT_TRUE(status.ok()) << status;
      const std::vector<float> sums = out.Read();
      if (threshold != 0 || round == 2) {
        EXPECT_EQ(sums[0], 3) << threshold;
        EXPECT_EQ(sums[2 * DeviceTable::kDim], 4 + kDefault) << threshold;
      }
      EXPECT_EQ(sums[DeviceTable::kDim], 0) << "an empty bag";
      (*cache)->background()->Wait();
    }
  }
}

TEST(DeviceCacheTest, ACapturedLookupIsReplayedAndItsMissesCome) {
  DeviceTable table(WithThreshold(0));
  table.Insert({1, 2}, 5);
  table.Find({1});
  (*table.Cache())->background()->Wait();
  auto asked = table.Prepare({1, 2}, table.stream());
  ASSERT_TRUE(asked.ok());
  ASSERT_EQ(cudaStreamBeginCapture(table.stream(), cudaStreamCaptureModeGlobal), cudaSuccess);
  const absl::StatusOr<WaitsFor> next = asked->lookup->Step();
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(table.stream(), &graph), cudaSuccess);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(*next, WaitsFor::kNothing);
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(executable, table.stream()), cudaSuccess);
  EXPECT_THAT(DeviceTable::Elements(&*asked), ElementsAre(5, kDefault));
  asked->lookup->FillMisses();
  (*table.Cache())->background()->Wait();
  ASSERT_EQ(cudaGraphLaunch(executable, table.stream()), cudaSuccess);
  EXPECT_THAT(DeviceTable::Elements(&*asked), ElementsAre(5, 5));
  (void)cudaGraphExecDestroy(executable);
  (void)cudaGraphDestroy(graph);
}

TEST(DeviceCacheTest, ARefreshFindsWhatChangedInTheStoreBehindTheTablesBack) {
  for (bool with_memory : {false, true}) {
    DeviceTable table(Exact(), 1, with_memory);
    std::vector<Key> keys(40);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<Key>(i);
    table.Insert(keys, 5);
    table.Find(keys);
    {
      MutexLock lock(&table.disk().mutex);
      const std::vector<float> row(DeviceTable::kDim, 6);
      const auto* bytes = reinterpret_cast<const uint8_t*>(row.data());
      table.disk().rows[3].assign(bytes, bytes + DeviceTable::kDim * sizeof(float));
      table.disk().rows.erase(4);
    }
    EXPECT_THAT(table.Find({3, 4, 5}), ElementsAre(5, 5, 5));
    ASSERT_TRUE(table.table()->Refresh().ok());
    EXPECT_THAT(table.Find({3, 4, 5}), ElementsAre(6, kDefault, 5)) << with_memory;
    EXPECT_EQ(table.Stats()["misses"], 40) << "the rows stayed resident";
  }
}

TEST(DeviceCacheTest, FailingStoresAreTheLookupsErrorAndNotTheHits) {
  DeviceTable table(Exact());
  table.Insert({1, 2}, 5);
  table.Find({1});
  table.disk().find_status = absl::UnavailableError("the disk is gone");
  EXPECT_THAT(std::string(table.TryFind({1, 2}).status().message()), HasSubstr("disk is gone"));
  EXPECT_THAT(table.Find({1}), ElementsAre(5));
}

TEST(DeviceCacheTest, ATableGoesWithFillsInFlight) {
  for (int round = 0; round < 20; ++round) {
    DeviceTable table(WithThreshold(0));
    table.Insert({1, 2, 3}, 5);
    for (int i = 0; i < 5; ++i) table.Find({i, i + 1, i + 2, 100 + i});
    table.Drop();
  }
}

TEST(DeviceCacheTest, AnUpdateThatDidNotReachTheDeviceIsNotForgotten) {
  for (double threshold : {1.0, 0.5}) {
    DeviceTable table(WithThreshold(threshold));
    table.Insert({1, 2}, 5);
    table.Find({1, 2});
    table.memory()->is_out = true;
    table.Insert({1}, 6);
    EXPECT_FALSE(table.TryFind({1}).ok()) << "better no row than the old one";
    table.memory()->is_out = false;
    EXPECT_THAT(table.Find({1}), ElementsAre(6));
    EXPECT_THAT(table.Find({2}), ElementsAre(5));
    EXPECT_EQ(table.Stats()["failed_updates"], 1);
  }
}

#ifdef TF_HPS_CUDA_EMULATION
TEST(DeviceCacheTest, WithoutMemoryThereIsAnErrorAndTheHostGoesOn) {
  const nlohmann::json options = {{"capacity_rows", 1 << 20}};
  DeviceTable table(options);
  table.Insert({1}, 5);
  cuda_emulation::SetFreeMemory(1000);
  const absl::Status status = table.TryFind({1}).status();
  cuda_emulation::SetFreeMemory(size_t{1} << 30);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("free: 1000"));
  std::vector<float> row(DeviceTable::kDim);
  const Key key = 1;
  ASSERT_TRUE(table.table()
                  ->Find({&key, 1}, table.handle().SinkFor(ElementType::kFloat32, row.data()))
                  .ok());
  EXPECT_EQ(row[0], 5);
  EXPECT_THAT(table.Find({1}), ElementsAre(5)) << "there is memory again";
}

// From the first step to the last, on a device that gets nowhere unless somebody waits. What a
// kernel leaves to TensorFlow's callback counts as well.
uint64_t HostWaitsOf(DeviceTable* table, DeviceLookup* lookup) {
  const uint64_t before = cuda_emulation::HostWaits();
  EXPECT_TRUE(DeviceTable::Run(lookup, table->stream()).ok());
  const uint64_t waits = cuda_emulation::HostWaits() - before;
  (void)cudaStreamSynchronize(table->stream());
  (*table->Cache())->background()->Wait();
  return waits;
}

TEST(DeviceCacheTest, TheHostWaitsOnceForHitsTwiceAtMostForMissesAndNeverAtThresholdZero) {
  cuda_emulation::Seed(4);
  for (double threshold : {1.0, 0.5, 0.0}) {
    SCOPED_TRACE(threshold);
    DeviceTable table(WithThreshold(threshold));
    std::vector<Key> keys(20);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<Key>(i);
    table.Insert(keys, 5);
    auto cache = table.Cache();
    ASSERT_TRUE(cache.ok());
    const auto rows = [&] {
      auto asked = table.Prepare(keys, table.stream());
      EXPECT_TRUE(asked.ok()) << asked.status();
      return HostWaitsOf(&table, asked->lookup.get());
    };
    const auto bags = [&] {
      auto asked = table.Prepare(keys, table.stream());
      EXPECT_TRUE(asked.ok()) << asked.status();
      const void* row = *(*cache)->KeepRow(table.handle().default_row(ElementType::kFloat32));
      TestArray<int64_t> splits({0, 20}, true, table.stream());
      const CacheBatch batch = {
          asked->keys->data(), 20, {asked->out->data(), ElementType::kFloat32, nullptr}, false};
      DeviceBagLookup lookup(
          table.table(), *cache, batch,
          {splits.data(), 1, nullptr, Combiner::kSum, static_cast<const float*>(row)},
          table.stream());
      return HostWaitsOf(&table, &lookup);
    };
    rows();  // misses everything, and pins memory
    bags();
    const uint64_t hits = threshold == 0 ? 0 : 1;
    EXPECT_EQ(rows(), hits);
    EXPECT_EQ(bags(), hits);
    keys[0] = 1000;
    EXPECT_EQ(rows(), hits) << "a miss: the host has to learn of it, once";
    keys[0] = 2000;
    EXPECT_EQ(bags(), 2 * hits) << "a miss: of the bags, then of the rows";
  }
}

TEST(DeviceCacheTest, ALostDeviceIsAnErrorAndTheHostGoesOn) {
  DeviceTable table(Exact());
  table.Insert({1}, 5);
  table.Find({1});
  cuda_emulation::SetDeviceLost(true);
  const absl::Status update = [&] {
    const std::vector<Key> keys = {1};
    const std::vector<float> rows(DeviceTable::kDim, 6);
    return table.table()->Apply(
        {keys, RowsView(reinterpret_cast<const uint8_t*>(rows.data()), 16), {}});
  }();
  const nlohmann::json stats = table.Stats();
  const Key key = 1;
  float row[DeviceTable::kDim];
  const absl::Status on_host =
      table.table()->Find({&key, 1}, table.handle().SinkFor(ElementType::kFloat32, row));
  cuda_emulation::SetDeviceLost(false);
  EXPECT_TRUE(update.ok()) << "the stores have it: " << update;
  EXPECT_TRUE(on_host.ok()) << on_host;
  EXPECT_EQ(row[0], 6);
  EXPECT_THAT(stats["error"].get<std::string>(), HasSubstr("CUDA failed"));
  EXPECT_THAT(table.Find({1}), ElementsAre(6));
}
#endif

TEST(DeviceCacheTest, KeysElsewhereAreAnError) {
  DeviceTable table(Exact());
  const Key key = 1;
  float row[DeviceTable::kDim];
  const CacheBatch batch = {&key, 1, {row, ElementType::kFloat32, row}};
  DeviceRowLookup lookup(table.table(), *table.Cache(), batch, table.stream());
  EXPECT_THAT(std::string(lookup.Step().status().message()),
              HasSubstr("keys in the host's memory"));
#ifdef TF_HPS_CUDA_EMULATION
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  TestArray<Key> keys({1}, true, table.stream());
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  const CacheBatch elsewhere = {keys.data(), 1, {row, ElementType::kFloat32, row}};
  DeviceRowLookup other(table.table(), *table.Cache(), elsewhere, table.stream());
  EXPECT_THAT(std::string(other.Step().status().message()), HasSubstr("keys on GPU 1"));
#endif
}

}  // namespace
}  // namespace tf_hps
