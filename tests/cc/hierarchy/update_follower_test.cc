// Tables that follow a stream of segments, opened as a server opens them.

#include "cc/hierarchy/update_follower.h"

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/following_tables.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

class UpdateFollowerTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      tables_.config().erase("rocksdb");
      for (auto& table : tables_.config()["tables"]) table["generation"] = "g1";
    }
  }
  bool is_kept() const { return GetParam() != "memory"; }

  FollowingTables tables_;
};

TEST_P(UpdateFollowerTest, ACommitReachesAllItsTables) {
  tables_.Open();
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", tables_.Generation("movies"), FollowingTables::kDim, {1, 2, -7}, 1.5);
  writer.Rows("users", tables_.Generation("users"), FollowingTables::kDim, {1}, 2.5);
  const std::string position = writer.Commit();
  tables_.WaitUntil("movies", position);
  tables_.WaitUntil("users", position);
  EXPECT_EQ(tables_.Value("movies", -7), 1.5);
  EXPECT_EQ(tables_.Value("users", 1), 2.5);
  EXPECT_EQ(tables_.Value("users", 2), 0);
  const auto stats = tables_.Updates("movies");
  EXPECT_EQ(stats["position"], position);
  EXPECT_EQ(stats["commits"], 1);
  EXPECT_EQ(stats["rows"], 4);
  EXPECT_GT(stats["visible_after_ms"], 0);
}

TEST_P(UpdateFollowerTest, LaterFramesOfACommitWin) {
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", generation, FollowingTables::kDim, {1, 2, 3}, 1);
  writer.Erase("movies", generation, {1, 2});
  writer.Rows("movies", generation, FollowingTables::kDim, {2}, 2);
  tables_.WaitUntil("movies", writer.Commit());
  EXPECT_EQ(tables_.Value("movies", 1), 0);
  EXPECT_EQ(tables_.Value("movies", 2), 2);
  EXPECT_EQ(tables_.Value("movies", 3), 1);
}

TEST_P(UpdateFollowerTest, EraseBringsTheDefaultRowBack) {
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", generation, FollowingTables::kDim, {1}, 1);
  tables_.WaitUntil("movies", writer.Commit());
  EXPECT_EQ(tables_.Value("movies", 1), 1);
  writer.Erase("movies", generation, {1, 99});
  tables_.WaitUntil("movies", writer.Commit());
  EXPECT_EQ(tables_.Value("movies", 1), 0);
  EXPECT_EQ(tables_.Updates("movies")["erased"], 2);
}

TEST_P(UpdateFollowerTest, AServerThatStartsLateCatchesUp) {
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", generation, FollowingTables::kDim, {1}, 1);
  tables_.WaitUntil("movies", writer.Commit());
  tables_.Close();
  std::string last;
  for (int version = 2; version <= 20; ++version) {
    writer.Rows("movies", generation, FollowingTables::kDim, {1, version}, version);
    last = writer.Commit();
  }
  tables_.Open();
  tables_.WaitUntil("movies", last);
  EXPECT_EQ(tables_.Value("movies", 1), 20);
  EXPECT_EQ(tables_.Value("movies", 7), 7);
  // What is on the disk counts once, also after a restart.
  EXPECT_EQ(tables_.Updates("movies")["commits"], is_kept() ? 19 : 20);
}

TEST_P(UpdateFollowerTest, ACommitThatIsSentTwiceCountsOnce) {
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  SegmentWriter other = tables_.Writer("ffff");
  writer.Rows("movies", generation, FollowingTables::kDim, {1}, 1);
  const std::string first = writer.Finish();
  writer.Write(first);
  other.SetNextSegment(2);
  other.Rows("movies", generation, FollowingTables::kDim, {1}, 2);
  other.Commit();
  writer.SetNextSegment(3);
  tables_.WaitUntil("movies", writer.Write(first));
  EXPECT_EQ(tables_.Value("movies", 1), 2) << "an old commit came again";
  EXPECT_EQ(tables_.Updates("movies")["repeated_commits"], 1);
  EXPECT_EQ(tables_.Updates("movies")["gaps"], 0);
}

TEST_P(UpdateFollowerTest, MissingCommitsOfAPublisherAreCounted) {
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", generation, FollowingTables::kDim, {1}, 1);
  writer.Commit();
  writer.SkipSequences(3);
  writer.Rows("movies", generation, FollowingTables::kDim, {2}, 2);
  tables_.WaitUntil("movies", writer.Commit());
  EXPECT_EQ(tables_.Value("movies", 2), 2) << "what came is applied";
  EXPECT_EQ(tables_.Updates("movies")["gaps"], 1);
}

TEST_P(UpdateFollowerTest, OtherGenerationsAndDeploymentsArePassedOver) {
  tables_.Open();
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", "another", FollowingTables::kDim, {1}, 1);
  writer.Commit();
  SegmentWriter stranger(tables_.stream(), "another-deployment");
  stranger.SetNextSegment(2);
  stranger.Rows("movies", tables_.Generation("movies"), FollowingTables::kDim, {1}, 1);
  tables_.WaitUntil("movies", stranger.Commit());
  EXPECT_EQ(tables_.Value("movies", 1), 0);
  EXPECT_EQ(tables_.Updates("movies")["other_generation_frames"], 1);
  EXPECT_EQ(tables_.Updates("movies")["other_deployment_commits"], 1);
  EXPECT_EQ(tables_.Updates("movies")["quarantined_commits"], 0);
}

TEST_P(UpdateFollowerTest, BadCommitsAreKeptAsideAndTheStreamGoesOn) {
  tables_.config()["updates"]["state_dir"] = tables_.folder() + "/state";
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  const std::string users = tables_.Generation("users");
  SegmentWriter writer = tables_.Writer();
  std::vector<std::string> reasons = {"NaN", "NaN", "embedding_dim", "checksum",
                                      "no table \"cities\""};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (float bad : {nan, -infinity}) {
    std::vector<float> rows(2 * FollowingTables::kDim, 1);
    rows[FollowingTables::kDim + 2] = bad;
    writer.Rows("users", users, FollowingTables::kDim, {1}, 1);  // goes with the others
    writer.RowsOf("movies", generation, FollowingTables::kDim, {1, 2}, rows);
    writer.Commit();
  }
  writer.Rows("movies", generation, FollowingTables::kDim + 1, {1}, 1);
  writer.Commit();
  writer.Rows("movies", generation, FollowingTables::kDim, {1}, 1);
  std::string damaged = writer.Finish();
  damaged[damaged.size() / 2] ^= 1;
  writer.Write(damaged);
  writer.Rows("cities", generation, FollowingTables::kDim, {1}, 1);
  writer.Rows("users", users, FollowingTables::kDim, {2},
              2);  // goes its own way: the table is unknown here
  writer.Commit();
  writer.Rows("movies", generation, FollowingTables::kDim, {3}, 3);
  tables_.WaitUntil("movies", writer.Commit());

  EXPECT_EQ(tables_.Value("movies", 1), 0);
  EXPECT_EQ(tables_.Value("movies", 3), 3);
  EXPECT_EQ(tables_.Value("users", 1), 0);
  EXPECT_EQ(tables_.Value("users", 2), 2);
  const auto stats = tables_.Updates("movies");
  EXPECT_EQ(stats["quarantined_commits"], 5);
  EXPECT_THAT(stats["last_quarantine_reason"].get<std::string>(), HasSubstr("cities"));
  EXPECT_EQ(stats["gaps"], 1) << "of the damaged one nobody knows what was in it";
  for (int segment = 1; segment <= 5; ++segment) {
    const std::string kept =
        tables_.folder() + "/state/quarantine/" + SegmentWriter::Name(segment).substr(0, 20);
    std::ifstream about(kept + ".json");
    ASSERT_TRUE(about) << kept;
    EXPECT_THAT(nlohmann::json::parse(about)["reason"].get<std::string>(),
                HasSubstr(reasons[segment - 1]));
    EXPECT_EQ(std::filesystem::file_size(kept + ".hpsu"),
              std::filesystem::file_size(tables_.stream() + "/" + SegmentWriter::Name(segment)));
  }
}

TEST_P(UpdateFollowerTest, RowsAreEncodedAsTheTableStoresThem) {
  tables_.config()["tables"]["movies"]["row_format"] = "float16";
  tables_.Open();
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", tables_.Generation("movies"), FollowingTables::kDim, {1},
              1.0f + 1.0f / 4096);
  tables_.WaitUntil("movies", writer.Commit());
  EXPECT_EQ(tables_.Value("movies", 1), 1.0f);
}

TEST_P(UpdateFollowerTest, OpeningWaitsForThePositionOfTheModel) {
  tables_.config()["updates"]["position"] = SegmentWriter::Name(2);
  tables_.config()["updates"]["position_timeout_s"] = 0.05;
  const absl::Status status = tables_.TryOpen("movies");
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("position_timeout_s"));

  tables_.config()["updates"]["position_timeout_s"] = 20;
  std::thread trainer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    SegmentWriter writer = tables_.Writer();
    for (int i = 0; i < 5; ++i) {
      writer.Rows("movies", "another", FollowingTables::kDim, {1}, 1);
      writer.Commit();
    }
  });
  tables_.Open();
  EXPECT_GE(tables_.Updates("movies")["commits"], 2);
  trainer.join();
  // Further than the model is allowed, and told.
  tables_.WaitUntil("movies", SegmentWriter::Name(5));
  for (int i = 0; i < 2000 && tables_.Updates("movies")["commits_ahead"] != 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(tables_.Updates("movies")["commits_ahead"], 3);
  EXPECT_EQ(tables_.Updates("movies")["lag_commits"], 0);
}

TEST_P(UpdateFollowerTest, WaitUntilSaysHowFarItCame) {
  tables_.Open();
  const absl::Status status =
      tables_["movies"].WaitUntil(SegmentWriter::Name(9), std::chrono::milliseconds(10));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr(SegmentWriter::Name(9)));
}

TEST_P(UpdateFollowerTest, AStreamThatLostCommitsIsLoudAndStopsItsTables) {
  SegmentWriter writer = tables_.Writer();
  writer.SetNextSegment(5);
  tables_.Open();
  writer.Rows("movies", tables_.Generation("movies"), FollowingTables::kDim, {1}, 1);
  writer.Commit();
  for (int i = 0; i < 2000 && tables_.Updates("movies")["state"] != "lost"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(tables_.Updates("movies")["state"], "lost");
  EXPECT_THAT(tables_.Updates("movies")["error"].get<std::string>(), HasSubstr("are gone from"));
  EXPECT_EQ(tables_.Value("movies", 1), 0);
}

TEST_P(UpdateFollowerTest, ATableMayDoWithoutTheStream) {
  tables_.config()["tables"]["users"]["updates"] = nullptr;
  tables_.Open();
  EXPECT_FALSE(tables_["users"].Stats().contains("updates"));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      tables_["users"].WaitUntil(SegmentWriter::Name(1), std::chrono::milliseconds(1))));
}

TEST_P(UpdateFollowerTest, TheRateIsLimited) {
  tables_.config()["updates"]["max_rows_per_s"] = 1000;
  tables_.Open();
  const std::string generation = tables_.Generation("movies");
  SegmentWriter writer = tables_.Writer();
  const auto begin = std::chrono::steady_clock::now();
  std::string last;
  for (int i = 0; i < 6; ++i) {
    writer.Rows("movies", generation, FollowingTables::kDim, std::vector<Key>(20, i), 1);
    last = writer.Commit();
  }
  tables_.WaitUntil("movies", last);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(95));
}

INSTANTIATE_TEST_SUITE_P(Tiers, UpdateFollowerTest, testing::Values("memory", "both"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tf_hps
