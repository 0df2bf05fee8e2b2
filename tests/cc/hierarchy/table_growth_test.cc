// Tables with `max_rows` and `ttl_s` that follow a stream, against a model of what the bounds say.

#include "cc/hierarchy/table_growth.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/bounded_model.h"
#include "tests/cc/hierarchy/following_tables.h"
#include "tests/cc/repetitions.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

constexpr int64_t kSecond = 1000000;
constexpr int64_t kStart = 1795300000 * kSecond;

class TableGrowthTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (is_kept()) {
      if (GetParam() == "rocksdb") tables_.config().erase("memory");
      if (GetParam() == "small memory") tables_.config()["memory"]["capacity_rows"] = 16;
      return;
    }
    tables_.config().erase("rocksdb");
    for (auto& table : tables_.config()["tables"]) table["generation"] = "g1";
  }
  bool is_kept() const { return GetParam() != "memory"; }

  void Bound(const GrowthBounds& bounds) {
    nlohmann::json& table = tables_.config()["tables"]["movies"];
    table["max_rows"] = bounds.max_rows > 0 ? nlohmann::json(bounds.max_rows) : nlohmann::json();
    table["ttl_s"] = bounds.ttl_s > 0 ? nlohmann::json(bounds.ttl_s) : nlohmann::json();
    table["when_full"] = bounds.rejects ? "reject" : "evict_oldest";
  }
  void Open() {
    tables_.Open();
    generation_ = tables_.Generation("movies");
  }
  void Reopen() {
    tables_.Close();
    Open();
    tables_.WaitUntil("movies", last_);
  }
  // Kept stores alone: rows that no stream brought.
  void Load(const std::vector<Key>& keys, float value) {
    const nlohmann::json config = tables_.config();
    tables_.config().erase("updates");
    tables_.config()["tables"]["movies"] = {{"embedding_dim", FollowingTables::kDim}};
    tables_.Open();
    const std::vector<float> rows(keys.size() * FollowingTables::kDim, value);
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()),
                        FollowingTables::kDim * sizeof(float));
    const absl::Status status = tables_["movies"].table().Apply({keys, view, {}});
    ASSERT_TRUE(status.ok()) << status;
    tables_.Close();
    tables_.config() = config;
  }
  // At a time after kStart.
  void Commit(int64_t time_us, const std::vector<Key>& keys, float value,
              const std::vector<Key>& erased = {}) {
    writer_.SetTime(kStart + time_us);
    if (!keys.empty()) writer_.Rows("movies", generation_, FollowingTables::kDim, keys, value);
    if (!erased.empty()) writer_.Erase("movies", generation_, erased);
    last_ = writer_.Commit();
    tables_.WaitUntil("movies", last_);
  }
  void ExpectCountsOf(const BoundedModel& model) {
    EXPECT_EQ(Growth()["expired"], model.expired());
    EXPECT_EQ(Growth()["evicted"], model.evicted());
    EXPECT_EQ(Growth()["rejected"], model.rejected());
  }
  std::vector<float> Values(Key keys) {
    std::vector<float> values;
    for (Key key = 0; key < keys; ++key) values.push_back(tables_.Value("movies", key));
    return values;
  }
  nlohmann::json Growth() { return tables_.Updates("movies")["growth"]; }

  FollowingTables tables_;
  SegmentWriter writer_ = tables_.Writer();
  std::string generation_, last_;
};

TEST_P(TableGrowthTest, RowsExpireByTheirLastUpdate) {
  Bound({0, /*ttl_s=*/10});
  Open();
  Commit(0, {0, 1, 2}, 1);
  Commit(5 * kSecond, {1}, 2);
  Commit(10 * kSecond, {}, 0);
  EXPECT_EQ(Values(3), (std::vector<float>{1, 2, 1})) << "not older than ttl_s";
  Commit(10 * kSecond + 1, {}, 0);
  EXPECT_EQ(Values(3), (std::vector<float>{0, 2, 0})) << "a commit without rows is enough";
  EXPECT_EQ(Growth()["expired"], 2);
  EXPECT_EQ(Growth()["rows"], 1);
  EXPECT_EQ(tables_["movies"].Stats()["rows"], 1);
  EXPECT_EQ(tables_["movies"].Stats()["rows_exact"], true);
  Commit(20 * kSecond, {0}, 3);
  EXPECT_EQ(Values(3), (std::vector<float>{3, 0, 0}));
}

TEST_P(TableGrowthTest, NewIdsEvictTheRowsUpdatedLongestAgo) {
  Bound({/*max_rows=*/3});
  Open();
  Commit(0, {0, 1, 2}, 1);
  Commit(1, {0}, 2);
  Commit(2, {3}, 3);
  EXPECT_EQ(Values(4), (std::vector<float>{2, 0, 1, 3})) << "of equal age the smaller key";
  Commit(3, {4, 5}, 4, {3});
  EXPECT_EQ(Values(6), (std::vector<float>{2, 0, 0, 0, 4, 4}));
  EXPECT_EQ(Growth()["evicted"], 2);
  Commit(4, {4, 6, 7, 8, 9}, 5);
  EXPECT_EQ(Values(10), (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 5, 5, 5}))
      << "a commit that has more than the table";
  EXPECT_EQ(Growth()["rows"], 3);
}

TEST_P(TableGrowthTest, AFullTableRejectsNewIdsAndSaysSo) {
  Bound({/*max_rows=*/3, 0, /*rejects=*/true});
  Open();
  Commit(0, {0, 1}, 1);
  Commit(1, {5, 1, 4, 5, 3}, 2);
  EXPECT_EQ(Values(6), (std::vector<float>{1, 2, 0, 0, 0, 2})) << "the first one came in";
  EXPECT_EQ(Growth()["rejected"], 2);
  EXPECT_EQ(tables_.Updates("movies")["rows"], 2 + 3);
  Commit(2, {3}, 3, {0});
  EXPECT_EQ(Values(6), (std::vector<float>{0, 2, 0, 3, 0, 2})) << "there is room again";
  EXPECT_EQ(Growth()["rejected"], 2);
  EXPECT_EQ(Growth()["rows"], 3);
}

TEST_P(TableGrowthTest, AClockThatStepsBackMakesNoRowOlder) {
  Bound({/*max_rows=*/2, /*ttl_s=*/10});
  Open();
  Commit(100 * kSecond, {0}, 1);
  Commit(50 * kSecond, {1}, 2);
  Commit(60 * kSecond, {}, 0);
  EXPECT_EQ(Values(2), (std::vector<float>{1, 2}));
  Commit(40 * kSecond, {2}, 3);
  EXPECT_EQ(Values(3), (std::vector<float>{0, 2, 3})) << "the order of commits counts";
  Commit(111 * kSecond, {}, 0);
  EXPECT_EQ(Values(3), (std::vector<float>{0, 0, 0}));
}

TEST_P(TableGrowthTest, NoCommitTakesLongBecauseManyRowsAreOld) {
  if (GetParam() == "rocksdb" || GetParam() == "small memory") GTEST_SKIP() << "many rows";
  Bound({0, /*ttl_s=*/1});
  Open();
  std::vector<Key> keys(TableGrowth::kLeaveAtOnce + 1000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<Key>(i);
  Commit(0, keys, 1);
  Commit(3 * kSecond, {}, 0);
  EXPECT_EQ(Growth()["expired"], TableGrowth::kLeaveAtOnce);
  EXPECT_EQ(tables_.Value("movies", keys.back()), 1);
  Commit(3 * kSecond, {}, 0);
  EXPECT_EQ(Growth()["rows"], 0);
  EXPECT_EQ(tables_.Value("movies", keys.back()), 0);
}

TEST_P(TableGrowthTest, NobodyElseInserts) {
  Bound({/*max_rows=*/2});
  Open();
  const absl::Status status = tables_["movies"].table().Apply({{}, RowsView(nullptr, 16), {}});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("max_rows"));
}

TEST_P(TableGrowthTest, AHandleWithOtherBoundsIsRefused) {
  Bound({/*max_rows=*/2});
  Open();
  Bound({/*max_rows=*/3});
  const absl::Status status = tables_.TryOpen("movies");
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("max_rows 2"));
}

TEST_P(TableGrowthTest, RandomCommitsLeaveTheRowsOfTheModel) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  constexpr Key kKeys = 60;
  for (const GrowthBounds bounds :
       {GrowthBounds{25, 0, false}, GrowthBounds{0, 9, false}, GrowthBounds{25, 9, false},
        GrowthBounds{25, 9, true}, GrowthBounds{25, 0, true}}) {
    SCOPED_TRACE(absl::StrCat(bounds.max_rows, " ", bounds.ttl_s, " ", bounds.rejects));
    tables_.Close();
    // A new store each: the former one is closed a little after its table.
    if (is_kept()) {
      tables_.config()["rocksdb"]["path"] =
          absl::StrCat(tables_.folder(), "/store ", bounds.max_rows, bounds.ttl_s, bounds.rejects);
    }
    std::filesystem::remove_all(tables_.stream());
    std::filesystem::create_directories(tables_.stream());
    writer_.SetNextSegment(1);
    BoundedModel model(bounds);
    if (is_kept()) {
      Load({3, 4, 5, 6, 7, 8}, 0.5);
      for (Key key = 3; key < 9; ++key) model.Load(key, 0.5);
    }
    Bound(bounds);
    Open();
    int64_t time_us = 0, steps = 0;
    for (int commit = 1; commit <= Repetitions(40); ++commit) {
      // Now and then a pause, or a clock that steps back.
      steps = random() % 20;
      time_us += steps == 0 ? -3 * kSecond : steps == 1 ? 8 * kSecond : random() % kSecond;
      std::vector<Key> keys(random() % 12), erased(random() % 3);
      for (Key& key : keys) key = random() % kKeys;
      for (Key& key : erased) key = random() % kKeys;
      if (commit % 20 == 7) {  // more than the table may have
        for (Key key = 0; key < 40; ++key) keys.push_back((key * 7) % kKeys);
      }
      model.Commit(kStart + time_us, keys, commit, erased);
      Commit(time_us, keys, commit, erased);
      for (Key key = 0; key < kKeys; ++key) {
        const auto row = model.rows().find(key);
        ASSERT_EQ(tables_.Value("movies", key), row == model.rows().end() ? 0 : row->second.value)
            << "key " << key << " after commit " << commit;
      }
      ASSERT_EQ(Growth()["rows"], model.rows().size()) << "after commit " << commit;
      if (commit % 17 == 0) {
        ExpectCountsOf(model);
        Reopen();  // what is in memory alone is read again from the beginning
        if (is_kept()) model = model.WithoutCounts();
      }
    }
    ExpectCountsOf(model);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, TableGrowthTest,
                         testing::Values("memory", "rocksdb", "memory + rocksdb", "small memory"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = std::isalpha(c) ? c : '_';
                           return name;
                         });

class LoadedGrowthTest : public TableGrowthTest {};

TEST_P(LoadedGrowthTest, LoadedRowsCountAsUpdatedWithTheFirstCommit) {
  Load({0, 1, 2}, 1);
  Bound({/*max_rows=*/4, /*ttl_s=*/10});
  Open();
  EXPECT_EQ(Growth()["rows"], 3);
  Commit(0, {1, 3}, 2);
  Commit(1, {4}, 3);
  EXPECT_EQ(Values(5), (std::vector<float>{0, 2, 1, 2, 3})) << "they are the oldest";
  Commit(10 * kSecond, {}, 0);
  EXPECT_EQ(tables_.Value("movies", 2), 1);
  Commit(10 * kSecond + 1, {}, 0);
  EXPECT_EQ(Values(5), (std::vector<float>{0, 0, 0, 0, 3}));
}

TEST_P(LoadedGrowthTest, ALoadWithMoreRowsThanTheBoundIsRefused) {
  Load({0, 1, 2}, 1);
  Bound({/*max_rows=*/2});
  const absl::Status status = tables_.TryOpen("movies");
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("3 rows"));
}

TEST_P(LoadedGrowthTest, ALowerBoundLetsTheOldestGo) {
  Bound({/*max_rows=*/5});
  Open();
  Commit(0, {0, 1, 2}, 1);
  Commit(1, {0, 3}, 2);
  tables_.Close();
  Bound({/*max_rows=*/2});
  Open();
  Commit(2, {}, 0);
  EXPECT_EQ(Values(4), (std::vector<float>{2, 0, 0, 2}));
  EXPECT_EQ(Growth()["evicted"], 2);
}

TEST_P(LoadedGrowthTest, RowsThatCameWithoutABoundCountAsLoaded) {
  Bound({/*max_rows=*/4, /*ttl_s=*/10});
  Open();
  Commit(0, {0, 1}, 1);
  tables_.Close();
  Bound({});
  Open();
  Commit(5 * kSecond, {2}, 2);
  EXPECT_FALSE(tables_.Updates("movies").contains("growth"));
  tables_.Close();
  Bound({/*max_rows=*/4, /*ttl_s=*/10});
  Open();
  EXPECT_EQ(Growth()["rows"], 3);
  Commit(20 * kSecond, {3}, 3);
  EXPECT_EQ(Values(4), (std::vector<float>{1, 1, 2, 3}));
  Commit(31 * kSecond, {4}, 4);
  EXPECT_EQ(Values(5), (std::vector<float>{0, 0, 0, 0, 4}));
}

INSTANTIATE_TEST_SUITE_P(Tiers, LoadedGrowthTest, testing::Values("rocksdb", "memory + rocksdb"),
                         [](const auto& info) {
                           return std::string(info.param == "rocksdb" ? "rocksdb" : "both");
                         });

}  // namespace
}  // namespace tf_hps
