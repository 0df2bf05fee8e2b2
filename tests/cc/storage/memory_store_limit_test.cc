// A bounded memory store is made smaller and larger while it is used. Also run under
// ThreadSanitizer.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/cc/storage/memory_store_verbs.h"

namespace tf_hps {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kSlower = 8;
#else
constexpr int kSlower = 1;
#endif

using Kind = EvictionPolicy::Kind;

MemoryStoreOptions BoundedTo(int64_t capacity_rows, Kind eviction = Kind::kLfu) {
  MemoryStoreOptions options;
  options.capacity_rows = capacity_rows;
  options.eviction = eviction;
  return options;
}

std::vector<uint64_t> ValuesOf(const std::vector<Key>& keys, uint64_t version) {
  std::vector<uint64_t> values;
  for (Key key : keys) values.push_back(ValueOf(key, version));
  return values;
}

// Rank r, and so key r, with probability proportional to 1 / (r + 1).
std::vector<Key> ZipfReads(int64_t keys, int64_t reads, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, std::log(static_cast<double>(keys)));
  std::vector<Key> read(static_cast<size_t>(reads));
  for (Key& key : read) key = static_cast<Key>(std::exp(uniform(random))) - 1;
  return read;
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(MemoryStoreLimitTest, TheRowsThatAreUsedMostStay) {
  const WordStore store(BoundedTo(20000));
  store.InsertKeys(KeysFrom(0, 20000));
  store.store().CountUses();
  store.Find(ZipfReads(20000, 100000, 1));
  ASSERT_TRUE(store.store().LimitRows(5000).ok());
  EXPECT_EQ(store.store().Stats().evictions, 15000);
  // Who always has the keys 0 to 4999 answers log 5000 / log 20000 of the reads.
  const std::vector<Key> reads = ZipfReads(20000, 100000, 2);
  const auto ideal = std::count_if(reads.begin(), reads.end(), [](Key key) { return key < 5000; });
  EXPECT_GT(store.CountOf(reads), 0.97 * static_cast<double>(ideal));
}

TEST(MemoryStoreLimitTest, OfLruTheRowsStayThatWereUsedSinceItWasToCount) {
  const WordStore store(BoundedTo(4000, Kind::kLru));
  store.InsertKeys(KeysFrom(0, 4000));
  store.Find(KeysFrom(0, 4000));
  store.store().CountUses();
  store.Find(KeysFrom(1000, 1000));
  ASSERT_TRUE(store.store().LimitRows(1001).ok());
  EXPECT_EQ(store.CountOf(KeysFrom(1000, 1000)), 1000);
  // And once more: each such call begins anew.
  store.store().CountUses();
  store.Find(KeysFrom(1500, 500));
  ASSERT_TRUE(store.store().LimitRows(500).ok());
  EXPECT_EQ(store.CountOf(KeysFrom(1500, 500)), 500);
}

TEST(MemoryStoreLimitTest, ExactlySoManyRowsStayAndItFillsUpAgain) {
  for (const Kind eviction : {Kind::kLfu, Kind::kLru}) {
    const WordStore store(BoundedTo(1000, eviction));
    const std::vector<Key> keys = KeysFrom(0, 1000);
    for (const int64_t limit : {1000, 999, 600, 599, 17, 1, 2, 800, 64, 1000}) {
      SCOPED_TRACE(limit);
      store.InsertKeys(keys);
      const int64_t before = store.store().Stats().rows;
      ASSERT_TRUE(store.store().LimitRows(limit).ok());
      EXPECT_EQ(store.store().Stats().capacity_rows, limit);
      EXPECT_EQ(store.store().Stats().rows, std::min(before, limit));
      EXPECT_EQ(store.CountOf(keys), std::min(before, limit));
      store.InsertKeys(keys);
      EXPECT_EQ(store.store().Stats().rows, limit);
      const std::vector<uint64_t> found = store.Find(keys);
      for (Key key : keys) {
        ASSERT_TRUE(found[key] == WordStore::kNotFound || found[key] == key) << key;
      }
    }
  }
}

TEST(MemoryStoreLimitTest, NoRowGoesWhereAllHaveRoom) {
  const WordStore store(BoundedTo(4000), 8);
  store.InsertKeys(KeysFrom(0, 4000));
  ASSERT_TRUE(store.store().Erase(KeysFrom(0, 3000)).ok());
  store.store().MarkComplete(0);
  ASSERT_TRUE(store.store().LimitRows(1000).ok());
  const std::vector<Key> left = KeysFrom(3000, 1000);
  EXPECT_EQ(store.Find(left), std::vector<uint64_t>(left.begin(), left.end()));
  EXPECT_EQ(store.store().Stats().evictions, 0);
  EXPECT_TRUE(store.store().IsComplete());
  ASSERT_TRUE(store.store().LimitRows(999).ok());
  EXPECT_FALSE(store.store().IsComplete());
}

TEST(MemoryStoreLimitTest, TheLimitIsAtMostTheCapacityAndOneRowOrMore) {
  const WordStore store(BoundedTo(100));
  ASSERT_TRUE(store.store().LimitRows(1 << 20).ok());
  EXPECT_EQ(store.store().Stats().capacity_rows, 100);
  EXPECT_EQ(store.store().LimitRows(0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store.store().Stats().capacity_rows, 100);
  // Without a bound there is nothing to share.
  const WordStore unbounded(MemoryStoreOptions{});
  unbounded.InsertKeys(KeysFrom(0, 1000));
  ASSERT_TRUE(unbounded.store().LimitRows(10).ok());
  EXPECT_EQ(unbounded.CountOf(KeysFrom(0, 1000)), 1000);
  EXPECT_EQ(unbounded.store().Stats().capacity_rows, 0);
}

TEST(MemoryStoreLimitTest, RowsOfAnySizeAreMovedWhole) {
  for (const int64_t dim : {1, 3, 12, 60, 61, 257}) {
    SCOPED_TRACE(dim);
    TableSpec spec;
    spec.embedding_dim = dim;
    spec.row_format = RowFormat::kInt8;
    const size_t row_bytes = spec.row_bytes();
    auto store = OpenMemoryStore(spec, BoundedTo(3000));
    ASSERT_TRUE(store.ok()) << store.status();
    const std::vector<Key> keys = KeysFrom(0, 3000);
    std::vector<uint8_t> rows(keys.size() * row_bytes);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint8_t>(i * 37 >> 3);
    ASSERT_TRUE((*store)->Insert(keys, RowsView(rows.data(), row_bytes), {}).ok());
    ASSERT_TRUE((*store)->LimitRows(1000).ok());

    std::vector<uint8_t> found(rows.size());
    RowSink sink;
    sink.destination = found.data();
    sink.stride = sink.out_bytes = row_bytes;
    Pending pending = Pending::All(keys.size());
    ASSERT_TRUE((*store)->Find(keys, sink, &pending).ok());
    EXPECT_EQ(pending.size(), 2000);
    for (size_t i = 0, gap = 0; i < keys.size(); ++i) {
      if (gap < pending.size() && pending[gap] == i) {
        ++gap;
        continue;
      }
      ASSERT_TRUE(std::equal(&found[i * row_bytes], &found[i * row_bytes] + row_bytes,
                             &rows[i * row_bytes]))
          << "key " << i;
    }
  }
}

TEST(MemoryStoreLimitTest, MemoryGoesBackToTheSystem) {
  if (kSlower > 1) GTEST_SKIP() << "a sanitizer's own memory stays";
  constexpr int64_t kRows = 400000, kWords = 32;  // 102 MB
  const WordStore store(BoundedTo(kRows), kWords, kRows);
  for (Key key = 0; key < kRows; key += 20000) store.InsertKeys(KeysFrom(key, 20000));
  const int64_t before = ResidentBytes(), bytes = store.store().Stats().bytes;
  ASSERT_TRUE(store.store().LimitRows(kRows / 5).ok());
  // 82 MB less, of which the sketch that is made for those that went takes 2.4.
  EXPECT_LT(ResidentBytes(), before - (int64_t{70} << 20));
  EXPECT_LT(store.store().Stats().bytes, bytes - (int64_t{70} << 20));
  EXPECT_EQ(store.CountOf(KeysFrom(0, kRows / 2)) + store.CountOf(KeysFrom(kRows / 2, kRows / 2)),
            kRows / 5);
  ASSERT_TRUE(store.store().LimitRows(kRows).ok());
  for (Key key = 0; key < kRows; key += 20000) store.InsertKeys(KeysFrom(key, 20000));
  EXPECT_EQ(store.store().Stats().rows, kRows);
  EXPECT_GT(ResidentBytes(), before - (int64_t{30} << 20));
}

TEST(MemoryStoreLimitTest, RowsThatOverflowedGoAndMoveAsOthersDo) {
  const WordStore store(BoundedTo(4000), 4);
  // Keys may not move while a scanner lives: many of these find both homes full.
  auto scanner = store.store().NewScanner(0, 3999);
  ASSERT_TRUE(scanner.ok());
  const std::vector<Key> keys = KeysFrom(0, 4000);
  store.InsertKeys(keys);
  for (const int64_t limit : {2500, 400, 1}) {
    ASSERT_TRUE(store.store().LimitRows(limit).ok());
    const std::vector<uint64_t> found = store.Find(keys);
    int64_t here = 0;
    for (Key key : keys) {
      if (found[key] == WordStore::kNotFound) continue;
      ++here;
      ASSERT_EQ(found[key], key);
    }
    EXPECT_EQ(here, limit);
  }
  // The last one gone over is one of the overflow, and leaves the only row to a key of a set.
  for (Key key = 5000; key < 5010; ++key) {
    store.InsertKeys({key});
    ASSERT_TRUE(store.Has(key));
    ASSERT_EQ(store.store().Stats().rows, 1);
  }
}

// Rows are left at high numbers, in both homes and in the overflow, and moved beside all who read
// and write. There is always room for them.
TEST(MemoryStoreLimitTest, NothingIsLostTornOrOldWhileRowsAreMoved) {
  constexpr int64_t kCapacity = 4000;
  const WordStore store(BoundedTo(kCapacity), 16);
  const std::vector<Key> lasting = KeysFrom(0, 600);
  std::atomic<uint64_t> versions[600] = {};
  ASSERT_TRUE(store.Insert(lasting, ValuesOf(lasting, 0)).ok());

  const auto shrink = [&](int round) {
    const std::vector<Key> passing = KeysFrom(10000 + round % 7, 3000);
    ASSERT_TRUE(store.Insert(passing, ValuesOf(passing, 0)).ok());
    ASSERT_TRUE(store.store().Erase(passing).ok());
    ASSERT_TRUE(store.store().LimitRows(1000 + round % 3).ok());
    ASSERT_LE(store.store().Stats().rows, 1000);
    ASSERT_TRUE(store.store().LimitRows(kCapacity).ok());
  };
  // Of the keys of one writer: erased and written again, so that they come to the free numbers.
  const auto write = [&](int round) {
    std::vector<Key> some;
    for (Key key = round % 3; key < 300; key += 3) some.push_back(key);
    ASSERT_TRUE(store.Insert(some, ValuesOf(some, round + 1)).ok());
    for (Key key : some) versions[key].store(round + 1);
  };
  const auto come_and_go = [&](int round) {
    const std::vector<Key> own = KeysFrom(20000, 200);
    ASSERT_TRUE(store.Insert(own, ValuesOf(own, round)).ok());
    ASSERT_EQ(store.Find(own), ValuesOf(own, round));
    ASSERT_TRUE(store.store().Erase(own).ok());
    ASSERT_EQ(store.CountOf(own), 0) << "an erased row came back";
  };
  const auto read = [&](int) {
    std::vector<uint64_t> oldest;
    for (Key key : lasting) oldest.push_back(versions[key].load());
    const std::vector<uint64_t> found = store.Find(lasting);
    for (Key key : lasting) {
      ASSERT_EQ(found[key] >> 32, static_cast<uint64_t>(key)) << "lost, torn, or another key's";
      ASSERT_GE(found[key] & 0xffffffff, oldest[key]) << "an older row came back";
    }
  };
  const auto scan = [&](int) {
    auto scanner = store.store().NewScanner(0, 599);
    ASSERT_TRUE(scanner.ok());
    size_t seen = 0;
    for (RowBlock block; (*scanner)->Next(100, &block).ok() && block.size() > 0;) {
      seen += block.size();
    }
    ASSERT_EQ(seen, lasting.size());
  };
  RunTogether(100 / kSlower, {shrink, write, come_and_go, read, scan});
  EXPECT_EQ(store.store().Stats().evictions, 0);
  EXPECT_EQ(store.store().Stats().rows, 600);
}

TEST(MemoryStoreLimitTest, RowsThatLeaveBesideWritersAreNeverAnothersRow) {
  for (const Kind eviction : {Kind::kLfu, Kind::kLru}) {
    const WordStore store(BoundedTo(600, eviction), 16);
    std::atomic<uint32_t> seeds{1};
    const auto random_keys = [&] {
      thread_local std::mt19937 random(seeds.fetch_add(1));
      std::vector<Key> keys(100);
      for (Key& key : keys) key = 1 + random() % 1200;
      return keys;
    };
    const auto limit = [&](int round) {
      static constexpr int64_t kLimits[] = {600, 300, 10, 599, 1, 450};
      ASSERT_TRUE(store.store().LimitRows(kLimits[round % 6]).ok());
    };
    const auto write = [&](int round) {
      const std::vector<Key> keys = random_keys();
      ASSERT_TRUE(store.Insert(keys, ValuesOf(keys, round)).ok());
    };
    const auto erase = [&](int) {
      ASSERT_TRUE(store.store().Erase(random_keys()).ok());
      // A key that nobody else writes.
      ASSERT_TRUE(store.Insert({5000}, {ValueOf(5000, 0)}).ok());
      ASSERT_TRUE(store.store().Erase({5000}).ok());
      ASSERT_FALSE(store.Has(5000));
    };
    const auto read = [&](int) {
      const std::vector<Key> keys = random_keys();
      ExpectWhole(keys, store.Find(keys), /*may_miss=*/true);
    };
    const auto scan = [&](int) {
      auto scanner = store.store().NewScanner(1, 1200);
      for (RowBlock block; (*scanner)->Next(100, &block).ok() && block.size() > 0;) {
        for (size_t i = 0; i < block.size(); ++i) {
          uint64_t value;
          std::memcpy(&value, &block.rows[i * 128], sizeof(value));
          ASSERT_EQ(value >> 32, static_cast<uint64_t>(block.keys[i]));
        }
      }
    };
    RunTogether(300 / kSlower, {write, limit, erase, read, write, scan});
    ASSERT_TRUE(store.store().LimitRows(123).ok());
    EXPECT_LE(store.store().Stats().rows, 123);
    const std::vector<Key> all = KeysFrom(1, 1200);
    ExpectWhole(all, store.Find(all), /*may_miss=*/true);
    EXPECT_EQ(store.CountOf(all), store.store().Stats().rows);
  }
}

TEST(MemoryStoreLimitTest, TheIndexGrowsMeanwhile) {
  constexpr int64_t kCapacity = 20000;
  for (int round = 0; round < 2; ++round) {
    const WordStore store(BoundedTo(kCapacity));
    const auto limit = [&](int turn) {
      ASSERT_TRUE(store.store().LimitRows(turn % 2 == 0 ? 2000 + 50 * turn : kCapacity).ok());
    };
    std::atomic<Key> next{0};
    const auto write = [&](int) {
      const std::vector<Key> keys = KeysFrom(next.fetch_add(300) % kCapacity, 300);
      ASSERT_TRUE(store.Insert(keys, ValuesOf(keys, 1)).ok());
    };
    const auto read = [&](int turn) {
      const std::vector<Key> keys = KeysFrom(turn * 100 % kCapacity, 100);
      ExpectWhole(keys, store.Find(keys), /*may_miss=*/true);
    };
    RunTogether(60, {limit, write, write, read});
    ASSERT_TRUE(store.store().LimitRows(kCapacity).ok());
    const std::vector<Key> all = KeysFrom(0, kCapacity);
    ExpectWhole(all, store.Find(all), /*may_miss=*/true);
    EXPECT_EQ(store.CountOf(KeysFrom(0, 2 * kCapacity)), store.store().Stats().rows);
    ASSERT_TRUE(store.Insert(all, ValuesOf(all, 2)).ok());
    EXPECT_EQ(store.store().Stats().rows, kCapacity);
  }
}

}  // namespace
}  // namespace tf_hps
