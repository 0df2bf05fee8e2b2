// What the memory store promises beyond the conformance suite, with each instruction set.
#include <algorithm>
#include <limits>
#include <vector>

#include "cc/common/update_stamps.h"
#include "cc/storage/store_backend.h"
#include "tests/cc/storage/memory_store_verbs.h"

namespace tf_hps {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Key kMinKey = std::numeric_limits<Key>::min();
constexpr Key kMaxKey = std::numeric_limits<Key>::max();

// Large tables and one thread: half a minute under ThreadSanitizer, which has nothing to see there.
#if defined(__SANITIZE_THREAD__)
#define SKIP_OF_ONE_THREAD() GTEST_SKIP()
#else
#define SKIP_OF_ONE_THREAD() static_cast<void>(0)
#endif

std::vector<Key> Sorted(std::vector<Key> keys) {
  std::sort(keys.begin(), keys.end());
  return keys;
}

class MemoryStoreTest : public ::testing::TestWithParam<CpuIsa> {
 protected:
  MemoryStoreOptions Options(int64_t capacity_rows = 0) const {
    MemoryStoreOptions options;
    options.capacity_rows = capacity_rows;
    options.isa = GetParam();
    return options;
  }
};

TEST_P(MemoryStoreTest, EveryKeyIsLegalAndZeroIsNotFoundUnlessStored) {
  const std::vector<Key> keys = {kMinKey, -1, 0, 1, kMaxKey, int64_t{1} << 32};
  const WordStore store(Options());
  EXPECT_THAT(store.Find(keys), Each(WordStore::kNotFound));
  ASSERT_TRUE(store.Insert(keys, {1, 2, 3, 4, 5, 6}).ok());
  EXPECT_THAT(store.Find(keys), ElementsAre(1, 2, 3, 4, 5, 6));
  ASSERT_TRUE(store.store().Erase({0}).ok());
  EXPECT_THAT(store.Find(keys), ElementsAre(1, 2, WordStore::kNotFound, 4, 5, 6));
}

TEST_P(MemoryStoreTest, NoRowIsLostUpToTheCapacity) {
  for (const int64_t rows : {1, 2, 3, 8, 63, 64, 65, 1000, 50000}) {
    SCOPED_TRACE(rows);
    const WordStore store(Options(rows));
    const std::vector<Key> keys = KeysFrom(-rows / 2, rows);
    store.InsertKeys(keys);
    EXPECT_EQ(store.Find(keys), std::vector<uint64_t>(keys.begin(), keys.end()));
    EXPECT_EQ(store.store().Stats().rows, rows);
    EXPECT_EQ(store.store().Stats().capacity_rows, rows);
    EXPECT_EQ(store.store().Stats().evictions, 0);
  }
}

// Those of 64, 128, 256 and 512 bytes have code of their own.
TEST_P(MemoryStoreTest, RowsOfEverySizeComeOutWhole) {
  for (const int64_t words : {1, 8, 16, 17, 32, 64, 65}) {
    SCOPED_TRACE(words);
    const WordStore store(Options(1000), words);
    const std::vector<Key> keys = KeysFrom(-500, 1000);
    store.InsertKeys(keys);
    EXPECT_EQ(store.Find(keys), std::vector<uint64_t>(keys.begin(), keys.end()));
  }
}

TEST_P(MemoryStoreTest, RowsNeverExceedTheCapacityAndTheNewestIsThere) {
  for (const int64_t capacity : {1, 2, 10, 100, 3000}) {
    SCOPED_TRACE(capacity);
    const WordStore store(Options(capacity));
    store.store().MarkComplete(0);
    EXPECT_TRUE(store.store().IsComplete());
    for (Key key = 0; key < 3 * capacity; ++key) {
      store.InsertKeys({key});
      ASSERT_TRUE(store.Has(key)) << key;
      ASSERT_LE(store.store().Stats().rows, capacity);
    }
    EXPECT_EQ(store.CountOf(KeysFrom(0, 3 * capacity)), capacity);
    EXPECT_EQ(store.store().Stats().rows, capacity);
    EXPECT_EQ(store.store().Stats().evictions, 2 * capacity);
    EXPECT_FALSE(store.store().IsComplete());
    store.store().MarkComplete(0);
    EXPECT_FALSE(store.store().IsComplete()) << "rows were evicted";
    store.store().MarkComplete(store.store().Losses());
    EXPECT_TRUE(store.store().IsComplete());
    store.InsertKeys({-1});
    EXPECT_FALSE(store.store().IsComplete()) << "another one was evicted";
  }
}

TEST_P(MemoryStoreTest, AFullTableTakesLittleMoreThanItsRows) {
  SKIP_OF_ONE_THREAD();
  constexpr int64_t kRows = 300000;
  constexpr int64_t kWords = 32;  // 64 floats
  for (const bool bounded : {false, true}) {
    SCOPED_TRACE(bounded);
    const WordStore store(Options(bounded ? kRows : 0), kWords, kRows);
    store.InsertKeys(KeysFrom(0, kRows));
    EXPECT_EQ(store.store().Stats().rows, kRows);
    EXPECT_LE(store.store().Stats().bytes, 1.1 * kRows * kWords * 8);
  }
}

TEST_P(MemoryStoreTest, ATableThatGrewUnannouncedTakesNoMoreEither) {
  SKIP_OF_ONE_THREAD();
  constexpr int64_t kRows = 300000;
  const WordStore store(Options(), 32);
  store.InsertKeys(KeysFrom(0, kRows));
  EXPECT_LE(store.store().Stats().bytes, 1.1 * kRows * 256);
  EXPECT_EQ(store.CountOf(KeysFrom(0, kRows)), kRows);
}

TEST_P(MemoryStoreTest, ASmallTableIsSmall) {
  const WordStore store(Options(), 32);
  store.InsertKeys(KeysFrom(0, 1000));
  EXPECT_LT(store.store().Stats().bytes, 1 << 20);
}

TEST_P(MemoryStoreTest, RowsOfAnySizeAndDecodedOnTheWay) {
  for (const int64_t dim : {1, 3, 7, 8, 16, 31, 32, 64, 100, 257}) {
    SCOPED_TRACE(dim);
    TableSpec spec;
    spec.embedding_dim = dim;
    spec.row_format = RowFormat::kInt8;
    auto store = OpenMemoryStore(spec, Options());
    ASSERT_TRUE(store.ok()) << store.status();
    std::vector<uint8_t> row(spec.row_bytes());
    const float scale = 4;
    std::memcpy(row.data(), &scale, 4);
    for (int64_t i = 0; i < dim; ++i) row[4 + i] = static_cast<uint8_t>(i % 100 - 50);
    ASSERT_TRUE((*store)->Insert({5}, RowsView(row.data(), row.size()), {}).ok());

    std::vector<float> decoded(dim + 1, -1.0f);
    RowSink sink;
    sink.destination = reinterpret_cast<uint8_t*>(decoded.data());
    sink.stride = sink.out_bytes = dim * sizeof(float);
    sink.decode = SelectDecodeRow(RowFormat::kInt8, ElementType::kFloat32, GetParam());
    sink.embedding_dim = dim;
    const std::vector<Key> keys = {5};
    Pending pending = Pending::All(1);
    ASSERT_TRUE((*store)->Find(keys, sink, &pending).ok());
    ASSERT_TRUE(pending.empty());
    for (int64_t i = 0; i < dim; ++i) EXPECT_EQ(decoded[i], (i % 100 - 50) / 4.0f);
    EXPECT_EQ(decoded[dim], -1.0f) << "written past the row";

    std::vector<uint8_t> raw(row.size() + 1, 0xab);
    sink.destination = raw.data();
    sink.stride = sink.out_bytes = row.size();
    sink.decode = nullptr;
    pending = Pending::All(1);
    ASSERT_TRUE((*store)->Find(keys, sink, &pending).ok());
    EXPECT_EQ(raw.back(), 0xab) << "written past the row";
    raw.pop_back();
    EXPECT_EQ(raw, row);
  }
}

TEST_P(MemoryStoreTest, ALongListOfPendingPositionsIsAnsweredInPlace) {
  const WordStore store(Options());
  store.InsertKeys(KeysFrom(0, 5000));
  std::vector<Key> keys;
  std::vector<uint32_t> positions, unknown;
  for (uint32_t p = 0; p < 9000; ++p) {
    keys.push_back(p % 3 == 0 ? Key{1000000} + p : p % 5000);
    if (p % 2 == 0) positions.push_back(p);
    if (p % 6 == 0) unknown.push_back(p);
  }
  std::vector<uint64_t> rows(keys.size() * 2, 77);
  RowSink sink;
  sink.destination = reinterpret_cast<uint8_t*>(rows.data());
  sink.stride = sink.out_bytes = 16;
  Pending pending;
  pending.Assign(positions);
  ASSERT_TRUE(store.store().Find(keys, sink, &pending).ok());
  std::vector<uint32_t> left;
  for (size_t i = 0; i < pending.size(); ++i) left.push_back(pending[i]);
  EXPECT_EQ(left, unknown);
  for (uint32_t p = 0; p < keys.size(); ++p) {
    if (p % 2 == 1) ASSERT_EQ(rows[2 * p], 77) << "not asked for";
    if (p % 2 == 0 && p % 3 != 0) ASSERT_EQ(rows[2 * p], keys[p]);
  }
}

TEST_P(MemoryStoreTest, AMarkAnswersUntilARowComes) {
  const WordStore store(Options());
  UpdateStamps stamps;
  const std::vector<Key> keys = {0, 7, 8};
  store.InsertKeys({8});
  store.store().MarkAbsent(keys, StampsRead(&stamps, keys));
  size_t absent = 0;
  EXPECT_THAT(store.Find(keys, &absent), ElementsAre(WordStore::kDefault, WordStore::kDefault, 8));
  EXPECT_EQ(absent, 2);
  EXPECT_EQ(store.store().Stats().absent, 2);
  EXPECT_EQ(store.store().Stats().rows, 1);

  InsertOptions keep;
  keep.existing = OnExisting::kKeep;
  ASSERT_TRUE(store.Insert({7}, {70}, keep).ok());
  ASSERT_TRUE(store.store().Erase({0}).ok());
  EXPECT_THAT(store.Find(keys), ElementsAre(WordStore::kNotFound, 70, 8));
  EXPECT_EQ(store.store().Stats().absent, 0);
}

TEST_P(MemoryStoreTest, WithoutADefaultRowAMarkLeavesItsPositionPending) {
  const WordStore store(Options());
  UpdateStamps stamps;
  const std::vector<Key> keys = {1};
  store.store().MarkAbsent(keys, StampsRead(&stamps, keys));
  uint64_t row[2];
  RowSink sink;
  sink.destination = reinterpret_cast<uint8_t*>(row);
  sink.stride = sink.out_bytes = sizeof(row);
  Pending pending = Pending::All(1);
  ASSERT_TRUE(store.store().Find(keys, sink, &pending).ok());
  EXPECT_EQ(pending.size(), 1);
}

TEST_P(MemoryStoreTest, MarksTakeNoRowsAwayAndRowsTakeTheirPlace) {
  const WordStore store(Options(1000));
  UpdateStamps stamps;
  const std::vector<Key> unknown = KeysFrom(1000000, 5000);
  store.InsertKeys(KeysFrom(0, 500));
  store.store().MarkAbsent(unknown, StampsRead(&stamps, unknown));
  EXPECT_EQ(store.CountOf(KeysFrom(0, 500)), 500);
  EXPECT_GT(store.store().Stats().absent, 300);
  store.InsertKeys(KeysFrom(500, 500));
  EXPECT_EQ(store.CountOf(KeysFrom(0, 1000)), 1000);
  EXPECT_EQ(store.store().Stats().evictions, 0);
}

TEST_P(MemoryStoreTest, RowsAndMarksThatAnUpdateOvertookAreRefused) {
  const WordStore store(Options());
  UpdateStamps stamps;
  const std::vector<Key> keys = {3, 4};
  const StampsRead read(&stamps, keys);
  const std::vector<Key> updated = {4};
  { const UpdateStamps::Update update(&stamps, updated, {}); }
  std::vector<uint32_t> refused;
  InsertOptions options;
  options.existing = OnExisting::kKeep;
  options.stamps = &read;
  options.refused = &refused;
  ASSERT_TRUE(store.Insert(keys, {30, 40}, options).ok());
  EXPECT_THAT(store.Find(keys), ElementsAre(30, WordStore::kNotFound));
  EXPECT_THAT(refused, ElementsAre(1));
  store.store().MarkAbsent(keys, read);
  EXPECT_EQ(store.store().Stats().absent, 0);
}

TEST_P(MemoryStoreTest, KeysThatFindNoHomeOverflow) {
  const WordStore store(Options());
  // Keys may not move while a scanner lives: many of these find both homes full.
  auto scanner = store.store().NewScanner(kMinKey, kMaxKey);
  ASSERT_TRUE(scanner.ok());
  const std::vector<Key> keys = KeysFrom(0, 4000);
  store.InsertKeys(keys);
  EXPECT_EQ(store.Find(keys), std::vector<uint64_t>(keys.begin(), keys.end()));
  ASSERT_TRUE(store.Insert(keys, std::vector<uint64_t>(4000, 9)).ok());
  EXPECT_THAT(store.Find(keys), Each(9));
  store.InsertKeys(keys);
  auto second = store.store().NewScanner(kMinKey, kMaxKey);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(Sorted(store.ScanKeys(second->get())), keys);
  ASSERT_TRUE(store.store().Erase(keys).ok());
  EXPECT_THAT(store.Find(keys), Each(WordStore::kNotFound));
  EXPECT_EQ(store.store().Stats().rows, 0);
}

TEST_P(MemoryStoreTest, AScanSeesEveryRowOnceAlthoughTheIndexGrowsMeanwhile) {
  const WordStore store(Options());
  const std::vector<Key> before = KeysFrom(0, 3000);
  store.InsertKeys(before);
  auto scanner = store.store().NewScanner(0, 2999);
  ASSERT_TRUE(scanner.ok());
  RowBlock block;
  ASSERT_TRUE((*scanner)->Next(1000, &block).ok());
  std::vector<Key> seen = block.keys;
  EXPECT_EQ(seen.size(), 1000);
  store.InsertKeys(KeysFrom(3000, 30000));
  for (Key key : store.ScanKeys(scanner->get())) seen.push_back(key);
  EXPECT_EQ(Sorted(seen), before);
}

TEST_P(MemoryStoreTest, RowsThatAreUsedStay) {
  for (const auto eviction : {EvictionPolicy::Kind::kLru, EvictionPolicy::Kind::kLfu}) {
    SCOPED_TRACE(static_cast<int>(eviction));
    MemoryStoreOptions options = Options(2000);
    options.eviction = eviction;
    const WordStore store(options);
    const std::vector<Key> hot = KeysFrom(0, 200);
    store.InsertKeys(KeysFrom(0, 2000));
    for (Key key = 2000; key < 12000; key += 20) {
      for (int use = 0; use < 5; ++use) store.Find(hot);
      store.InsertKeys(KeysFrom(key, 20));
    }
    EXPECT_GE(store.CountOf(hot), 195) << "of 200; without counters some 2 would be left";
  }
}

TEST_P(MemoryStoreTest, RowsOfAnotherSizeAreRefused) {
  const WordStore store(Options());
  const uint8_t row[8] = {};
  const absl::Status status = store.store().Insert({1}, RowsView(row, 8), {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rows have 8 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("16"));
}

INSTANTIATE_TEST_SUITE_P(Isa, MemoryStoreTest, ::testing::ValuesIn(CpuIsas()), CpuIsaTestName);

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenBackend(const nlohmann::json& options) {
  TableSpec spec;
  spec.name = "movie_id";
  spec.embedding_dim = 64;
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind == "memory") return backend.open(spec, options);
  }
  return absl::NotFoundError("memory");
}

TEST(MemoryBackendTest, TheSmallerCapacityCounts) {
  const int64_t bytes = 1 << 20;
  const auto by_bytes = OpenBackend({{"capacity_bytes", bytes}, {"capacity_rows", 1 << 20}});
  ASSERT_TRUE(by_bytes.ok()) << by_bytes.status();
  // 256 bytes of row, 16 of index, 2.5 of counters, 6 of the sketch.
  EXPECT_EQ((*by_bytes)->Stats().capacity_rows, 3738);
  const auto by_rows = OpenBackend({{"capacity_bytes", bytes}, {"capacity_rows", 17}});
  ASSERT_TRUE(by_rows.ok()) << by_rows.status();
  EXPECT_EQ((*by_rows)->Stats().capacity_rows, 17);
}

TEST(MemoryBackendTest, ACapacityIsPositive) {
  for (const char* name : {"capacity_rows", "capacity_bytes"}) {
    for (const nlohmann::json& value :
         {nlohmann::json(0), nlohmann::json(-5), nlohmann::json(0.5)}) {
      const auto store = OpenBackend({{name, value}});
      EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(store.status().message()), HasSubstr(name));
      EXPECT_THAT(std::string(store.status().message()), HasSubstr(value.dump()));
    }
  }
}

}  // namespace
}  // namespace tf_hps
