// What embedding_store.h promises, asked of every kind of store. A new kind is a row in
// store_kinds.h.
#include <atomic>
#include <thread>

#include "cc/common/update_stamps.h"
#include "tests/cc/storage/store_kinds.h"
#include "tests/cc/storage/store_verbs.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class StoreConformance : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    auto store = OpenStore(GetParam(), dir_.path());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  TempDir dir_;
  std::unique_ptr<EmbeddingStore> store_;
};

TEST(StoreKindsTest, EveryLinkedBackendHasARowHere) {
  ASSERT_FALSE(StoreBackends().empty());
  for (const StoreBackend& backend : StoreBackends()) {
    bool has_row = false;
    for (const StoreKind& kind : LinkedStoreKinds()) has_row |= kind.kind == backend.kind;
    EXPECT_TRUE(has_row) << "store_kinds.h has no row for " << backend.kind;
  }
}

TEST_P(StoreConformance, FindLeavesUnknownKeysPending) {
  ASSERT_TRUE(Insert(*store_, {10, 30}, {RowOf(1), RowOf(3)}).ok());
  Batch batch({40, 30, 20, 10});
  Pending pending = Pending::All(4);
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  EXPECT_THAT(Positions(pending), ElementsAre(0, 2));
  EXPECT_EQ(batch.rows[1], RowOf(3));
  EXPECT_EQ(batch.rows[3], RowOf(1));
}

TEST_P(StoreConformance, FindTouchesOnlyPendingPositions) {
  ASSERT_TRUE(Insert(*store_, {1, 2, 3, 4}, {RowOf(1), RowOf(2), RowOf(3), RowOf(4)}).ok());
  Batch batch({4, 3, 2, 1, 9});
  Pending pending;
  pending.Assign({1, 3, 4});
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  EXPECT_THAT(Positions(pending), ElementsAre(4));
  EXPECT_EQ(batch.rows[0], Batch::kUntouched);
  EXPECT_EQ(batch.rows[1], RowOf(3));
  EXPECT_EQ(batch.rows[2], Batch::kUntouched);
  EXPECT_EQ(batch.rows[3], RowOf(1));
}

TEST_P(StoreConformance, FindAnswersAPartOfTheBatch) {
  ASSERT_TRUE(Insert(*store_, {1, 2, 3}, {RowOf(1), RowOf(2), RowOf(3)}).ok());
  Batch batch({1, 8, 2, 9, 3});
  Pending pending = Pending::Range(1, 4);
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  EXPECT_THAT(Positions(pending), ElementsAre(1, 3));
  EXPECT_EQ(batch.rows[0], Batch::kUntouched);
  EXPECT_EQ(batch.rows[2], RowOf(2));
  EXPECT_EQ(batch.rows[4], Batch::kUntouched);
}

TEST_P(StoreConformance, RangePendingBecomesAnEmptyListWhenAllIsFound) {
  ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  Batch batch({2, 1, 2});
  Pending pending = Pending::All(3);
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  EXPECT_TRUE(pending.empty());
  EXPECT_THAT(batch.rows, ElementsAre(RowOf(2), RowOf(1), RowOf(2)));
}

TEST_P(StoreConformance, EveryDuplicateInAFindIsAnswered) {
  ASSERT_TRUE(Insert(*store_, {7}, {RowOf(7)}).ok());
  Batch batch({7, 8, 7, 7, 8});
  Pending pending = Pending::All(5);
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  EXPECT_THAT(Positions(pending), ElementsAre(1, 4));
  for (int p : {0, 2, 3}) EXPECT_EQ(batch.rows[p], RowOf(7));
}

TEST_P(StoreConformance, RowsGoThroughTheSinksDecoderAtItsStride) {
  ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  struct Wide {
    float first;
    float padding;
  };
  std::vector<Wide> out(2, {-1, -1});
  RowSink sink;
  sink.destination = reinterpret_cast<uint8_t*>(out.data());
  sink.stride = sizeof(Wide);
  sink.out_bytes = sizeof(float);
  sink.embedding_dim = 4;
  sink.decode = [](const uint8_t* row, uint8_t* out, int64_t dim) {
    std::memcpy(out, row + (dim - 1) * sizeof(float), sizeof(float));
  };
  Pending pending = Pending::All(2);
  ASSERT_TRUE(store_->Find({2, 1}, sink, &pending).ok());
  EXPECT_TRUE(pending.empty());
  EXPECT_EQ(out[0].first, 2.75f);
  EXPECT_EQ(out[1].first, 1.75f);
  EXPECT_EQ(out[0].padding, -1);
  EXPECT_EQ(out[1].padding, -1);
}

TEST_P(StoreConformance, EmptyBatchesAreNoError) {
  EXPECT_TRUE(Insert(*store_, {}, {}).ok());
  EXPECT_TRUE(store_->Erase({}).ok());
  Pending pending = Pending::All(0);
  EXPECT_TRUE(store_->Find({}, Batch({}).sink, &pending).ok());
  EXPECT_TRUE(pending.empty());
  EXPECT_THAT(ScanAll(*store_), IsEmpty());
}

TEST_P(StoreConformance, EveryInt64IsAKey) {
  const std::vector<Key> keys = {kMinKey, kMinKey + 1, -1, 0, 1, 1LL << 32, kMaxKey - 1, kMaxKey};
  std::vector<Row> rows;
  for (size_t i = 0; i < keys.size(); ++i) rows.push_back(RowOf(i));
  ASSERT_TRUE(Insert(*store_, keys, rows).ok());
  const std::map<Key, Row> found = FindAll(*store_, keys);
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(found.at(keys[i]), rows[i]) << keys[i];
  EXPECT_EQ(ScanAll(*store_), found);
  EXPECT_THAT(FindAll(*store_, {kMinKey + 2, kMaxKey - 2, 2}), IsEmpty());
}

TEST_P(StoreConformance, ReplaceReplaces) {
  ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  ASSERT_TRUE(Insert(*store_, {2, 3}, {RowOf(20), RowOf(30)}).ok());
  EXPECT_THAT(FindAll(*store_, {1, 2, 3}),
              ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(20)), Pair(3, RowOf(30))));
}

TEST_P(StoreConformance, LastOfEqualKeysCounts) {
  ASSERT_TRUE(Insert(*store_, {5, 6, 5, 5}, {RowOf(1), RowOf(2), RowOf(3), RowOf(4)}).ok());
  EXPECT_THAT(FindAll(*store_, {5, 6}), ElementsAre(Pair(5, RowOf(4)), Pair(6, RowOf(2))));
}

TEST_P(StoreConformance, KeepLeavesWhatStands) {
  InsertOptions keep;
  keep.existing = OnExisting::kKeep;
  ASSERT_TRUE(Insert(*store_, {1}, {RowOf(1)}).ok());
  ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(10), RowOf(20)}, keep).ok());
  EXPECT_THAT(FindAll(*store_, {1, 2}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(20))));
}

TEST_P(StoreConformance, StampMovedIsRefused) {
  UpdateStamps stamps;
  const std::vector<Key> keys = {1, 2, 3};
  const StampsRead read(&stamps, keys);
  { const UpdateStamps::Update update(&stamps, {2}, {}); }
  for (const OnExisting existing : {OnExisting::kKeep, OnExisting::kReplace}) {
    std::vector<uint32_t> refused;
    InsertOptions options{existing, &read, &refused};
    ASSERT_TRUE(Insert(*store_, keys, {RowOf(1), RowOf(2), RowOf(3)}, options).ok());
    EXPECT_THAT(refused, ElementsAre(1));
    EXPECT_THAT(FindAll(*store_, keys), ElementsAre(Pair(1, RowOf(1)), Pair(3, RowOf(3))));
  }
}

TEST_P(StoreConformance, ErasedRowsAreNotFoundAndComeBackWhenInserted) {
  ASSERT_TRUE(Insert(*store_, {1, 2, 3}, {RowOf(1), RowOf(2), RowOf(3)}).ok());
  ASSERT_TRUE(store_->Erase({2, 99, 2}).ok());
  EXPECT_THAT(FindAll(*store_, {1, 2, 3, 99}), ElementsAre(Pair(1, RowOf(1)), Pair(3, RowOf(3))));
  EXPECT_THAT(ScanAll(*store_), UnorderedElementsAre(Pair(1, RowOf(1)), Pair(3, RowOf(3))));
  ASSERT_TRUE(Insert(*store_, {2}, {RowOf(22)}).ok());
  EXPECT_THAT(FindAll(*store_, {2}), ElementsAre(Pair(2, RowOf(22))));
}

TEST_P(StoreConformance, AnInsertReplacesARememberedAbsence) {
  UpdateStamps stamps;
  const std::vector<Key> keys = {1, 2};
  ASSERT_TRUE(Insert(*store_, {1}, {RowOf(1)}).ok());
  store_->MarkAbsent(keys, StampsRead(&stamps, keys));
  EXPECT_THAT(FindAll(*store_, keys), ElementsAre(Pair(1, RowOf(1))));
  EXPECT_THAT(ScanAll(*store_), ElementsAre(Pair(1, RowOf(1))));
  InsertOptions keep;
  keep.existing = OnExisting::kKeep;
  ASSERT_TRUE(Insert(*store_, {2}, {RowOf(2)}, keep).ok());
  EXPECT_THAT(FindAll(*store_, keys), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
}

TEST_P(StoreConformance, ScanSeesEveryRowOnce) {
  std::vector<Key> keys;
  std::vector<Row> rows;
  std::map<Key, Row> expected;
  for (int i = 0; i < 3000; ++i) {
    keys.push_back((i - 1500) * 1000003LL);
    rows.push_back(RowOf(i));
    expected[keys.back()] = rows.back();
  }
  ASSERT_TRUE(Insert(*store_, keys, rows).ok());
  EXPECT_EQ(ScanAll(*store_, kMinKey, kMaxKey, 7), expected);
  EXPECT_EQ(ScanAll(*store_, kMinKey, kMaxKey, 100000), expected);
}

TEST_P(StoreConformance, ScanRangesIncludeBothEnds) {
  ASSERT_TRUE(Insert(*store_, {kMinKey, -3, 0, 4, kMaxKey},
                     {RowOf(1), RowOf(2), RowOf(3), RowOf(4), RowOf(5)})
                  .ok());
  const auto keys_of = [&](Key first, Key last) {
    std::vector<Key> keys;
    for (const auto& [key, row] : ScanAll(*store_, first, last)) keys.push_back(key);
    return keys;
  };
  EXPECT_THAT(keys_of(-3, 4), ElementsAre(-3, 0, 4));
  EXPECT_THAT(keys_of(-2, 3), ElementsAre(0));
  EXPECT_THAT(keys_of(kMinKey, kMinKey), ElementsAre(kMinKey));
  EXPECT_THAT(keys_of(kMaxKey, kMaxKey), ElementsAre(kMaxKey));
  EXPECT_THAT(keys_of(5, kMaxKey - 1), IsEmpty());
  EXPECT_THAT(keys_of(4, -3), IsEmpty());
}

TEST_P(StoreConformance, LargeBatchesOfUnsortedKeysAreAnsweredInPlace) {
  constexpr int kKeys = 20000;
  std::vector<Key> keys;
  std::vector<Row> rows;
  for (int i = 0; i < kKeys; ++i) {
    keys.push_back((i * 7919LL) % kKeys * 2);  // the even numbers, shuffled
    rows.push_back(RowOf(keys.back()));
  }
  ASSERT_TRUE(Insert(*store_, keys, rows).ok());
  Batch batch({});
  for (int i = 0; i < kKeys; ++i) batch.keys.push_back((i * 104729LL) % (2 * kKeys));
  batch = Batch(std::move(batch.keys));
  Pending pending = Pending::All(kKeys);
  ASSERT_TRUE(store_->Find(batch.keys, batch.sink, &pending).ok());
  std::vector<uint32_t> odd;
  for (uint32_t p = 0; p < kKeys; ++p) {
    if (batch.keys[p] % 2 == 1) {
      odd.push_back(p);
    } else {
      ASSERT_EQ(batch.rows[p], RowOf(batch.keys[p])) << p;
    }
  }
  EXPECT_EQ(Positions(pending), odd);
}

TEST_P(StoreConformance, StatsCountRows) {
  ASSERT_TRUE(Insert(*store_, {1, 2, 3, 2}, {RowOf(1), RowOf(2), RowOf(3), RowOf(4)}).ok());
  const StoreStats stats = store_->Stats();
  if (stats.rows_exact) {
    EXPECT_EQ(stats.rows, 3);
  } else {
    EXPECT_GE(stats.rows, 1);
    EXPECT_LE(stats.rows, 4 + 2 * GetParam().erased_below);
  }
  EXPECT_GT(stats.bytes, 0);
  EXPECT_EQ(stats.evictions, 0);
}

TEST_P(StoreConformance, WithoutABoundThereIsNothingToLimit) {
  ASSERT_TRUE(Insert(*store_, {1, 2, 3}, {RowOf(1), RowOf(2), RowOf(3)}).ok());
  EXPECT_EQ(store_->Stats().capacity_rows, 0);
  store_->CountUses();
  ASSERT_TRUE(store_->LimitRows(1).ok());
  EXPECT_THAT(FindAll(*store_, {1, 2, 3}),
              UnorderedElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2)), Pair(3, RowOf(3))));
}

TEST_P(StoreConformance, KindIsItsBackends) { EXPECT_EQ(store_->kind(), GetParam().kind); }

TEST_P(StoreConformance, RowsStayWhenAStoreThatKeepsThemIsReopened) {
  if (!GetParam().keeps_rows) GTEST_SKIP() << "keeps nothing";
  ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  ASSERT_TRUE(store_->Erase({1}).ok());
  store_.reset();
  SetUp();
  EXPECT_THAT(ScanAll(*store_), ElementsAre(Pair(2, RowOf(2))));
}

// Two writers replace and erase, a scanner walks, readers look up: a row seen is one version,
// whole.
TEST_P(StoreConformance, ConcurrentReadersSeeWholeRowsOnly) {
  constexpr Key kKeys = 64;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      for (int round = 0; !stop; ++round) {
        std::vector<Key> keys;
        std::vector<Row> rows;
        for (Key key = writer; key < kKeys; key += 2) {
          keys.push_back(key);
          rows.push_back(RowOf(key + kKeys * (round % 1000)));
        }
        EXPECT_TRUE(Insert(*store_, keys, rows).ok());
        if (round % 5 == 4) EXPECT_TRUE(store_->Erase({keys[round % keys.size()]}).ok());
      }
    });
  }
  const auto expect_whole = [&](Key key, const Row& row) {
    EXPECT_EQ(row, RowOf(row[0])) << key;
    EXPECT_EQ(static_cast<Key>(row[0]) % kKeys, key);
  };
  threads.emplace_back([&] {
    while (!stop) {
      // Rows are erased and inserted again meanwhile.
      const std::map<Key, Row> all = ScanAll(*store_, kMinKey, kMaxKey, 16, /*may_repeat=*/true);
      for (const auto& [key, row] : all) expect_whole(key, row);
    }
  });
  std::vector<Key> keys;
  for (Key key = kKeys - 1; key >= -2; --key) keys.push_back(key);
  for (int round = 0; round < 300; ++round) {
    const std::map<Key, Row> found = FindAll(*store_, keys);
    for (const auto& [key, row] : found) expect_whole(key, row);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Kinds, StoreConformance, ::testing::ValuesIn(LinkedStoreKinds()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tf_hps
