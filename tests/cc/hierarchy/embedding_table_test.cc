#include <atomic>
#include <cstring>
#include <future>
#include <limits>
#include <thread>
#include <utility>

#include "cc/hierarchy/table_handle.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kDim = 2;

// A table of two-element float rows over the model stores that a test puts in its tiers.
class EmbeddingTableTest : public ::testing::Test {
 protected:
  EmbeddingTableTest() {
    RegisterModelBackends();
    for (const char* kind : {"model_memory", "model_shared", "model_disk"}) {
      ModelStates()[kind] = std::make_shared<ModelState>();
    }
    spec_.deployment = "test";
    spec_.name = "movie_id";
    spec_.embedding_dim = kDim;
    config_.name = "movie_id";
  }

  static ModelState& State(const std::string& kind) { return *ModelStates()[kind]; }
  ModelState& memory() { return State("model_memory"); }
  ModelState& shared() { return State("model_shared"); }
  ModelState& disk() { return State("model_disk"); }

  void Open(const std::vector<std::string>& kinds, bool preload = false) {
    for (const std::string& kind : kinds) config_.sections[kind] = {{"preload", preload}};
    auto table = EmbeddingTable::Open(spec_, config_);
    ASSERT_TRUE(table.ok()) << table.status();
    table_ = *table;
    auto handle = TableHandle::Create(table_, config_);
    ASSERT_TRUE(handle.ok()) << handle.status();
    handle_ = *handle;
  }

  static std::vector<uint8_t> Row(float a, float b) {
    const float elements[kDim] = {a, b};
    std::vector<uint8_t> row(sizeof(elements));
    std::memcpy(row.data(), elements, sizeof(elements));
    return row;
  }
  static void Put(ModelState& state, Key key, float a, float b) {
    MutexLock lock(&state.mutex);
    state.rows[key] = Row(a, b);
  }
  static bool Holds(ModelState& state, Key key, float a, float b) {
    MutexLock lock(&state.mutex);
    const auto row = state.rows.find(key);
    return row != state.rows.end() && row->second == Row(a, b);
  }
  static int TimesAsked(ModelState& state) {
    MutexLock lock(&state.mutex);
    return state.asked.size();
  }

  absl::Status Find(const std::vector<Key>& keys, std::vector<float>* rows) {
    rows->assign(keys.size() * kDim, -77.0f);
    return table_->Find(keys, handle_->SinkFor(ElementType::kFloat32, rows->data()));
  }
  std::vector<float> MustFind(const std::vector<Key>& keys) {
    std::vector<float> rows;
    const absl::Status status = Find(keys, &rows);
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }
  absl::Status Insert(Key key, float a, float b) {
    const std::vector<uint8_t> row = Row(a, b);
    return table_->Apply({{&key, 1}, RowsView(row.data(), row.size()), {}});
  }
  absl::Status Erase(Key key) { return table_->Apply({{}, RowsView(nullptr, 8), {&key, 1}}); }

  TableSpec spec_;
  TableConfig config_;
  std::shared_ptr<EmbeddingTable> table_;
  std::shared_ptr<TableHandle> handle_;
};

TEST_F(EmbeddingTableTest, TiersAreAskedInOrderForWhatIsStillPending) {
  Put(memory(), 1, 1, 1);
  Put(shared(), 2, 2, 2);
  Put(disk(), 3, 3, 3);
  Open({"model_memory", "model_shared", "model_disk"});
  EXPECT_THAT(MustFind({3, 1, 4, 2, 3}), ElementsAre(3, 3, 1, 1, 0, 0, 2, 2, 3, 3));
  MutexLock lock(&disk().mutex);
  ASSERT_EQ(disk().asked.size(), 1u);
  EXPECT_THAT(disk().asked[0], ElementsAre(3, 4)) << "once for each key, ascending";
}

TEST_F(EmbeddingTableTest, RowsAreWrittenInTheOutputsType) {
  Put(disk(), 1, 1.5f, -2.0f);
  config_.default_row = {0.5, 0.25};
  Open({"model_disk"});
  uint16_t halves[4];
  const std::vector<Key> keys = {1, 2};
  ASSERT_TRUE(table_->Find(keys, handle_->SinkFor(ElementType::kFloat16, halves)).ok());
  EXPECT_THAT(halves, ElementsAre(0x3e00, 0xc000, 0x3800, 0x3400));
}

TEST_F(EmbeddingTableTest, FoundRowsAreAnsweredFromAboveTheNextTime) {
  Put(disk(), 5, 5, 6);
  Open({"model_memory", "model_shared", "model_disk"});
  MustFind({5});
  table_->WaitForPromotions();
  EXPECT_TRUE(Holds(memory(), 5, 5, 6));
  EXPECT_TRUE(Holds(shared(), 5, 5, 6));
  EXPECT_THAT(MustFind({5}), ElementsAre(5, 6));
  EXPECT_EQ(TimesAsked(disk()), 1);
}

TEST_F(EmbeddingTableTest, AbsenceIsRememberedUntilTheKeyIsInserted) {
  Open({"model_memory", "model_disk"});
  EXPECT_THAT(MustFind({9}), ElementsAre(0, 0));
  table_->WaitForPromotions();
  EXPECT_THAT(MustFind({9}), ElementsAre(0, 0));
  EXPECT_EQ(TimesAsked(disk()), 1) << "the second lookup ended in memory";
  EXPECT_EQ(table_->Stats()["default_rows"], 2);
  ASSERT_TRUE(Insert(9, 9, 9).ok());
  EXPECT_THAT(MustFind({9}), ElementsAre(9, 9));
}

TEST_F(EmbeddingTableTest, PromotionDoesNotUndoAnUpdateThatCameAndWentAbove) {
  Put(disk(), 1, 1, 1);
  Open({"model_memory", "model_disk"});
  disk().after_find = [this] {
    disk().after_find = nullptr;
    ASSERT_TRUE(Insert(1, 2, 2).ok());
    MutexLock lock(&memory().mutex);
    memory().rows.erase(1);  // evicted: nothing is left that kKeep would keep
  };
  EXPECT_THAT(MustFind({1}), ElementsAre(1, 1)) << "read before the update";
  table_->WaitForPromotions();
  EXPECT_FALSE(Holds(memory(), 1, 1, 1));
  EXPECT_THAT(MustFind({1}), ElementsAre(2, 2));
}

TEST_F(EmbeddingTableTest, PromotionDoesNotUndoAnErase) {
  Put(disk(), 1, 1, 1);
  Open({"model_memory", "model_disk"});
  disk().after_find = [this] {
    disk().after_find = nullptr;
    ASSERT_TRUE(Erase(1).ok());
  };
  MustFind({1});
  table_->WaitForPromotions();
  EXPECT_THAT(MustFind({1}), ElementsAre(0, 0));
}

TEST_F(EmbeddingTableTest, AbsenceIsNotRememberedOverAnInsertThatCameMeanwhile) {
  Open({"model_memory", "model_disk"});
  disk().after_find = [this] {
    disk().after_find = nullptr;
    ASSERT_TRUE(Insert(1, 2, 2).ok());
    MutexLock lock(&memory().mutex);
    memory().rows.erase(1);
  };
  EXPECT_THAT(MustFind({1}), ElementsAre(0, 0));
  table_->WaitForPromotions();
  EXPECT_THAT(MustFind({1}), ElementsAre(2, 2));
}

TEST_F(EmbeddingTableTest, PreloadMakesTheMemoryCompleteAndEndsTheWalk) {
  for (Key key = -50; key < 50; ++key) Put(disk(), key, key, key);
  Put(disk(), std::numeric_limits<Key>::min(), 7, 7);
  Put(disk(), std::numeric_limits<Key>::max(), 8, 8);
  Open({"model_memory", "model_disk"}, /*preload=*/true);
  ASSERT_TRUE(table_->WaitForPreload().ok());
  const int asked = TimesAsked(disk());
  EXPECT_THAT(MustFind({-50, 49, std::numeric_limits<Key>::min(), std::numeric_limits<Key>::max()}),
              ElementsAre(-50, -50, 49, 49, 7, 7, 8, 8));
  EXPECT_THAT(MustFind({1000}), ElementsAre(0, 0)) << "unknown, said by the complete store";
  EXPECT_EQ(TimesAsked(disk()), asked);
  EXPECT_EQ(table_->Stats()["preload"]["state"], "done");
  bool exact = false;
  EXPECT_EQ(table_->Rows(&exact), 102);
  EXPECT_TRUE(exact);
}

// A lookup that misses, the preload that ends, and an update of `key` that begins, all before the
// lookup reads below.
class PreloadEndsTest : public EmbeddingTableTest, public ::testing::WithParamInterface<Key> {};

TEST_P(PreloadEndsTest, WhoMissedBeforeIsNotAheadOfTheNextLookup) {
  const Key key = GetParam();
  Put(disk(), 1, 1, 1);
  std::promise<void> missed, written, answered;
  disk().before_scan = [has_missed = missed.get_future().share()] { has_missed.wait(); };
  Open({"model_memory", "model_disk"}, /*preload=*/true);

  std::thread update;
  const auto has_begun = std::make_shared<std::atomic<bool>>(false);  // outlives the test
  bool first = true;
  disk().before_find = [&] {
    if (!std::exchange(first, false)) return;
    missed.set_value();
    ASSERT_TRUE(table_->WaitForPreload().ok());
    memory().before_insert = [has_begun, &written, &answered] {
      if (has_begun->exchange(true)) return;  // a promotion
      written.set_value();
      answered.get_future().wait();
    };
    update = std::thread([&] { EXPECT_TRUE(Insert(key, 2, 2).ok()); });
    written.get_future().wait();
  };
  EXPECT_THAT(MustFind({1, 1, 5}), ElementsAre(1, 1, 1, 1, 0, 0));
  EXPECT_THAT(MustFind({1, 1, 5}), ElementsAre(1, 1, 1, 1, 0, 0));
  answered.set_value();
  update.join();
  EXPECT_THAT(MustFind({key}), ElementsAre(2, 2));
}

INSTANTIATE_TEST_SUITE_P(StoredAndNewKey, PreloadEndsTest, ::testing::Values(1, 5));

TEST_F(EmbeddingTableTest, PreloadStopsAtTheCapacityAndTheRestIsFoundBelow) {
  for (Key key = 0; key < 20000; ++key) Put(disk(), key, key, 0);
  memory().capacity_rows = 100;
  Open({"model_memory", "model_disk"}, /*preload=*/true);
  ASSERT_TRUE(table_->WaitForPreload().ok());
  for (Key key : {0, 5000, 19999}) EXPECT_THAT(MustFind({key}), ElementsAre(key, 0));
  EXPECT_THAT(MustFind({20000}), ElementsAre(0, 0));
}

TEST_F(EmbeddingTableTest, AnEmptyStorePreloadsToACompleteMemory) {
  Open({"model_memory", "model_disk"}, /*preload=*/true);
  ASSERT_TRUE(table_->WaitForPreload().ok());
  ASSERT_TRUE(Insert(3, 3, 3).ok());
  EXPECT_THAT(MustFind({3, 4}), ElementsAre(3, 3, 0, 0));
  EXPECT_EQ(TimesAsked(disk()), 0);
}

TEST_F(EmbeddingTableTest, AFailingPreloadLeavesLookupsToTheStoreBelow) {
  Put(disk(), 1, 1, 1);
  disk().find_status = absl::OkStatus();
  memory().insert_status = absl::ResourceExhaustedError("no memory for rows");
  Open({"model_memory", "model_disk"}, /*preload=*/true);
  EXPECT_EQ(table_->WaitForPreload().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(table_->Stats()["preload"]["state"], "failed");
  EXPECT_THAT(MustFind({1}), ElementsAre(1, 1));
}

TEST_F(EmbeddingTableTest, AFailingPersistentStoreFailsTheLookupAndTheNextOneWorks) {
  Put(memory(), 1, 1, 1);
  Put(disk(), 2, 2, 2);
  Open({"model_memory", "model_disk"});
  disk().find_status = absl::UnavailableError("disk gone");
  std::vector<float> rows;
  EXPECT_EQ(Find({1, 2}, &rows).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(MustFind({1}), ElementsAre(1, 1)) << "what memory answers needs no disk";
  disk().find_status = absl::OkStatus();
  EXPECT_THAT(MustFind({1, 2}), ElementsAre(1, 1, 2, 2));
}

TEST_F(EmbeddingTableTest, AFailingVolatileTierIsOneTierFewer) {
  Put(disk(), 2, 2, 2);
  shared().find_status = absl::UnavailableError("refused");
  Open({"model_shared", "model_disk"});
  EXPECT_THAT(MustFind({2, 3}), ElementsAre(2, 2, 0, 0));
}

TEST_F(EmbeddingTableTest, ARefusedInsertWritesNothingAnywhere) {
  Open({"model_memory", "model_disk"});
  disk().insert_status = absl::FailedPreconditionError("read-only");
  EXPECT_EQ(Insert(1, 1, 1).code(), absl::StatusCode::kFailedPrecondition);
  MutexLock lock(&memory().mutex);
  EXPECT_THAT(memory().rows, IsEmpty());
}

TEST_F(EmbeddingTableTest, ATierThatCannotTakeAnUpdateLosesTheOldRow) {
  Put(memory(), 1, 1, 1);
  Put(disk(), 1, 1, 1);
  Open({"model_memory", "model_disk"});
  memory().insert_status = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Insert(1, 2, 2).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MustFind({1}), ElementsAre(2, 2));
}

TEST_F(EmbeddingTableTest, RowsOfAnotherWidthAreRefusedWithBothWidths) {
  Open({"model_disk"});
  const Key key = 1;
  const uint8_t row[12] = {};
  const absl::Status status = table_->Apply({{&key, 1}, RowsView(row, 12), {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("table \"movie_id\": rows have 12 bytes, the table stores 8"));
}

TEST_F(EmbeddingTableTest, DefaultRowMayBeTheRowOfAnId) {
  Put(disk(), 7, 70, 71);
  config_.default_row = {{"id", 7}};
  Open({"model_disk"});
  EXPECT_THAT(MustFind({12}), ElementsAre(70, 71));
}

TEST_F(EmbeddingTableTest, UnknownIdsShareDefaultRowsByTheirBuckets) {
  for (Key key = -3; key < 0; ++key) Put(disk(), key, key, 10 * key);
  Put(disk(), 4, 4, 4);
  config_.default_row = {{"id", -3}, {"buckets", 3}, {"by", "floormod"}};
  Open({"model_memory", "model_disk"});
  for (int turn = 0; turn < 2; ++turn) {  // memory remembers who is unknown
    EXPECT_THAT(MustFind({6, 7, 4, -4}), ElementsAre(-3, -30, -2, -20, 4, 4, -1, -10));
    table_->WaitForPromotions();
  }
  ASSERT_TRUE(Insert(7, 70, 71).ok());
  EXPECT_THAT(MustFind({7, 10}), ElementsAre(70, 71, -2, -20));
  uint16_t halves[4];
  ASSERT_TRUE(table_->Find({8, 6}, handle_->SinkFor(ElementType::kFloat16, halves)).ok());
  EXPECT_THAT(halves, ElementsAre(0xbc00, 0xc900, 0xc200, 0xcf80));
}

TEST_F(EmbeddingTableTest, DefaultRowOfAnUnknownIdIsAnError) {
  Put(disk(), 6, 1, 1);
  config_.default_row = {{"id", 6}, {"buckets", 2}, {"by", "fingerprint"}};
  config_.sections["model_disk"] = nlohmann::json::object();
  const auto table = EmbeddingTable::Open(spec_, config_);
  ASSERT_TRUE(table.ok());
  const auto handle = TableHandle::Create(*table, config_);
  EXPECT_THAT(handle.status().ToString(), HasSubstr("names id 7, which the table does not hold"));
}

TEST_F(EmbeddingTableTest, EachHandleHasItsOwnDefaultRow) {
  Put(disk(), 1, 1, 1);
  Open({"model_disk"});
  config_.default_row = {5, 6};
  const auto other = TableHandle::Create(table_, config_);
  ASSERT_TRUE(other.ok());
  float rows[4];
  const std::vector<Key> keys = {1, 2};
  ASSERT_TRUE(table_->Find(keys, (*other)->SinkFor(ElementType::kFloat32, rows)).ok());
  EXPECT_THAT(rows, ElementsAre(1, 1, 5, 6));
  EXPECT_THAT(MustFind({1, 2}), ElementsAre(1, 1, 0, 0));
}

TEST_F(EmbeddingTableTest, OutOfRangeIdsFollowThePolicy) {
  config_.vocabulary_size = 10;
  config_.out_of_range = OutOfRange::kError;
  Open({"model_disk"});
  std::vector<Key> keys = {0, 9, 10};
  EXPECT_THAT(handle_->CheckRange(absl::MakeSpan(keys)).ToString(),
              HasSubstr("ids[2] = 10 is not in [0, 10)"));
  keys = {0, 9};
  EXPECT_TRUE(handle_->CheckRange(absl::MakeSpan(keys)).ok());

  config_.out_of_range = OutOfRange::kWrapNegatives;
  Open({"model_disk"});
  keys = {-1, -10, 9};
  EXPECT_TRUE(handle_->CheckRange(absl::MakeSpan(keys)).ok());
  EXPECT_THAT(keys, ElementsAre(9, 0, 9));
  keys = {std::numeric_limits<Key>::min()};
  EXPECT_THAT(handle_->CheckRange(absl::MakeSpan(keys)).ToString(), HasSubstr("not in [-10, 10)"));
}

TEST_F(EmbeddingTableTest, FindRawSaysWhatIsStoredAndCountsNothing) {
  Put(disk(), 1, 1, 2);
  Open({"model_memory", "model_disk"});
  const std::vector<Key> keys = {1, 2};
  std::vector<uint8_t> rows(16, 0xff);
  bool found[2];
  ASSERT_TRUE(table_->FindRaw(keys, rows.data(), found).ok());
  EXPECT_THAT(found, ElementsAre(true, false));
  EXPECT_EQ(std::vector<uint8_t>(rows.begin(), rows.begin() + 8), Row(1, 2));
  EXPECT_EQ(std::vector<uint8_t>(rows.begin() + 8, rows.end()), Row(0, 0));
  EXPECT_EQ(table_->Stats()["keys"], 0);
}

TEST_F(EmbeddingTableTest, StatsCountPositionsByTier) {
  Put(memory(), 1, 1, 1);
  Put(disk(), 2, 2, 2);
  Open({"model_memory", "model_disk"});
  MustFind({1, 1, 2, 2, 2, 3});
  const nlohmann::json stats = table_->Stats();
  EXPECT_EQ(stats["keys"], 6);
  EXPECT_EQ(stats["lookups"], 1);
  EXPECT_EQ(stats["default_rows"], 1);
  EXPECT_EQ(stats["tiers"][0]["hits"], 2);
  EXPECT_EQ(stats["tiers"][0]["misses"], 4);
  EXPECT_EQ(stats["tiers"][1]["hits"], 3);
  EXPECT_EQ(stats["tiers"][1]["misses"], 1);
}

TEST_F(EmbeddingTableTest, NoKeysAreNoError) {
  Open({"model_memory", "model_disk"});
  EXPECT_THAT(MustFind({}), IsEmpty());
}

}  // namespace
}  // namespace tf_hps
