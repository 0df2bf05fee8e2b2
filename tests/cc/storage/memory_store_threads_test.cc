// Readers, writers, evictions and a growing index at once. Also run under ThreadSanitizer.
#include <atomic>
#include <random>
#include <thread>

#include "cc/common/update_stamps.h"
#include "tests/cc/storage/memory_store_verbs.h"

namespace tf_hps {
namespace {

class MemoryStoreThreadsTest : public ::testing::TestWithParam<CpuIsa> {
 protected:
  MemoryStoreOptions Options(int64_t capacity_rows = 0) const {
    MemoryStoreOptions options;
    options.capacity_rows = capacity_rows;
    options.isa = GetParam();
    return options;
  }
};

TEST_P(MemoryStoreThreadsTest, NoReaderSeesATornRow) {
  constexpr int64_t kWords = 64;  // long enough to be caught half-written
  const WordStore store(Options(), kWords);
  const std::vector<Key> keys = KeysFrom(1, 20);
  ASSERT_TRUE(store.Insert(keys, std::vector<uint64_t>(20, ValueOf(0, 0))).ok());
  const auto write = [&](int round) {
    std::vector<uint64_t> values;
    for (Key key : keys) values.push_back(ValueOf(key, round));
    ASSERT_TRUE(store.Insert(keys, values).ok());
  };
  write(0);
  const auto read = [&](int) { ExpectWhole(keys, store.Find(keys), /*may_miss=*/false); };
  RunTogether(2000, {write, read, read});
}

// A tenth of the keys live in their second home, where others are written.
TEST_P(MemoryStoreThreadsTest, AWriteHidesNoOtherKeyOfItsSet) {
  const WordStore store(Options(400), 16);
  std::vector<Key> still, written;
  for (Key key = 1; key <= 400; ++key) (key % 2 == 0 ? still : written).push_back(key);
  const auto write_all = [&](const std::vector<Key>& keys, int round) {
    std::vector<uint64_t> values;
    for (Key key : keys) values.push_back(ValueOf(key, round));
    ASSERT_TRUE(store.Insert(keys, values).ok());
  };
  write_all(still, 0);
  write_all(written, 0);
  const auto read = [&](int) { ExpectWhole(still, store.Find(still), /*may_miss=*/false); };
  RunTogether(1000, {[&](int round) { write_all(written, round); }, read, read});
}

// Erasing a key that is not there locks its set and changes nothing.
TEST_P(MemoryStoreThreadsTest, ALockWithoutAChangeHidesNoKey) {
  const WordStore store(Options(40), 16);
  const std::vector<Key> keys = KeysFrom(1, 40), unknown = KeysFrom(1000, 200);
  ASSERT_TRUE(store.Insert(keys, std::vector<uint64_t>(40, 0)).ok());
  const auto erase = [&](int) { ASSERT_TRUE(store.store().Erase(unknown).ok()); };
  const auto read = [&](int) {
    for (uint64_t value : store.Find(keys)) ASSERT_EQ(value, 0u) << "a key was not found";
  };
  RunTogether(3000, {read, erase, erase});
}

TEST_P(MemoryStoreThreadsTest, EvictedRowsAreNeverAnothersRow) {
  const WordStore store(Options(60), 16);
  UpdateStamps stamps;
  std::atomic<uint32_t> seeds{1};
  const auto random_keys = [&] {
    thread_local std::mt19937 random(seeds.fetch_add(1));
    std::vector<Key> keys(50);
    for (Key& key : keys) key = 1 + random() % 200;
    return keys;
  };
  const auto write = [&](int round) {
    const std::vector<Key> keys = random_keys();
    std::vector<uint64_t> values;
    for (Key key : keys) values.push_back(ValueOf(key, round));
    ASSERT_TRUE(store.Insert(keys, values).ok());
    ASSERT_LE(store.store().Stats().rows, 60);
  };
  const auto erase = [&](int round) {
    std::vector<Key> keys = random_keys();
    keys.resize(5);
    ASSERT_TRUE(store.store().Erase(keys).ok());
    store.store().MarkAbsent(keys, StampsRead(&stamps, keys));
  };
  const auto read = [&](int) {
    const std::vector<Key> keys = random_keys();
    ExpectWhole(keys, store.Find(keys), /*may_miss=*/true);
  };
  RunTogether(1000, {write, read, erase, write, read});
}

TEST_P(MemoryStoreThreadsTest, RowsAreFoundWhileTheIndexGrowsAndKeysMove) {
  const WordStore store(Options());
  const std::vector<Key> keys = KeysFrom(1, 300);
  std::vector<uint64_t> values;
  for (Key key : keys) values.push_back(ValueOf(key, 1));
  ASSERT_TRUE(store.Insert(keys, values).ok());
  // Two writers beside each other: 300 to some 60000 rows, in a dozen steps of growth.
  std::atomic<Key> next{1000};
  const auto write = [&](int) {
    const std::vector<Key> more = KeysFrom(next.fetch_add(200), 200);
    std::vector<uint64_t> more_values;
    for (Key key : more) more_values.push_back(ValueOf(key, 1));
    ASSERT_TRUE(store.Insert(more, more_values).ok());
    ExpectWhole(more, store.Find(more), /*may_miss=*/false);
  };
  const auto read = [&](int) { ExpectWhole(keys, store.Find(keys), /*may_miss=*/false); };
  const auto scan = [&](int) {
    auto scanner = store.store().NewScanner(1, 300);
    ASSERT_TRUE(scanner.ok());
    size_t seen = 0;
    for (RowBlock block; (*scanner)->Next(100, &block).ok() && block.size() > 0;) {
      seen += block.size();
    }
    ASSERT_EQ(seen, keys.size());
  };
  RunTogether(150, {write, read, write, scan});
  EXPECT_EQ(store.store().Stats().rows, 300 + (next.load() - 1000));
  const std::vector<Key> all = KeysFrom(1000, next.load() - 1000);
  ExpectWhole(all, store.Find(all), /*may_miss=*/false);
}

TEST_P(MemoryStoreThreadsTest, ParallelFillOfExactlyTheCapacityEvictsNothing) {
  constexpr int64_t kRows = 20000;
  const WordStore store(Options(kRows));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { store.InsertKeys(KeysFrom(t * kRows / 4, kRows / 4)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.CountOf(KeysFrom(0, kRows)), kRows);
  EXPECT_EQ(store.store().Stats().evictions, 0);
}

INSTANTIATE_TEST_SUITE_P(Isa, MemoryStoreThreadsTest, ::testing::ValuesIn(CpuIsas()),
                         CpuIsaTestName);

}  // namespace
}  // namespace tf_hps
