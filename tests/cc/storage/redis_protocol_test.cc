// Several servers that share one table in Redis: no row is ever older than what a server knows.
// docs/redis.md has the protocol.
#include <string>
#include <vector>

#include "absl/log/globals.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "cc/common/update_stamps.h"
#include "cc/storage/redis_layout.h"
#include "cc/storage/redis_script.h"
#include "tests/cc/storage/redis_stores.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class RedisProtocolTest : public ::testing::Test {
 protected:
  // A server of a table whose rows stand in a store below, too; `applied` of the stream "s".
  std::unique_ptr<EmbeddingStore> Server(bool is_updated = false, uint64_t applied = 0) {
    TableSpec spec = RedisSpec();
    spec.is_kept = true;
    spec.is_updated = is_updated;
    if (applied > 0) spec.applied = {"s", applied};
    nlohmann::json options = redis_.Options();
    options["partitions"] = 1;
    return OpenRedis(options, spec);
  }
  // How many of them came in.
  static size_t Promote(EmbeddingStore& store, const std::vector<Key>& keys,
                        const std::vector<Row>& rows) {
    std::vector<uint32_t> refused;
    InsertOptions options{OnExisting::kKeep, nullptr, &refused};
    EXPECT_TRUE(Insert(store, keys, rows, options).ok());
    return keys.size() - refused.size();
  }
  // Commit `number` of the stream "s", after the store below has it.
  static absl::Status Follow(EmbeddingStore& store, uint64_t number, const std::vector<Key>& keys,
                             const std::vector<Row>& rows, const std::vector<Key>& erased = {}) {
    const UpdatePosition position{"s", number};
    EXPECT_TRUE(store.BeginUpdate(keys, erased, &position).ok());
    EXPECT_THAT(FindAll(store, keys), IsEmpty()) << "the store below may be ahead by now";
    return store.Update(keys, ViewOf(rows), erased, &position);
  }
  std::string Head() { return redis_.Do({"GET", RedisPartitionKey(RedisTableId(RedisSpec()), 0)}); }
  RedisHead ParsedHead() { return ParseRedisHead(Head()).value_or(RedisHead()); }
  // Sends a write of its own, as it may come late from a connection that hung.
  std::string Write(RedisWrite write) {
    redis_.Do({"SCRIPT", "LOAD", RedisWriteScript()});
    write.partition_key = RedisPartitionKey(RedisTableId(RedisSpec()), 0);
    auto connection = redis_.Connect();
    EXPECT_TRUE((*connection)->Send(RedisWriteCommand(write), In(2000)).ok());
    const auto reply = (*connection)->Read(In(2000));
    return (*reply)->elements == 2 ? (*reply)->element[1]->str : (*reply)->str;
  }

  RedisServer redis_;
};

TEST_F(RedisProtocolTest, ARowPromotedByOneServerIsAHitForTheOthers) {
  const auto a = Server(), b = Server();
  EXPECT_EQ(Promote(*a, {1, 2}, {RowOf(1), RowOf(2)}), 2u);
  EXPECT_THAT(FindAll(*b, {1, 2, 3}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, RowsHaveATimeToLiveAndHeadsDoNot) {
  const auto a = Server();
  Promote(*a, {1}, {RowOf(1)});
  std::string row = RedisPartitionKey(RedisTableId(RedisSpec()), 0);
  EXPECT_EQ(redis_.Do({"TTL", row}), "-1") << "volatile-* policies must not evict it";
  absl::StrAppend(&row, ParsedHead().epoch, ":");
  AppendRedisKeyBytes(1, &row);
  EXPECT_EQ(redis_.Do({"TTL", row}), "604800");
}

class Warnings : public absl::LogSink {
 public:
  // Whatever TF_CPP_MIN_LOG_LEVEL says.
  Warnings() : min_level_(absl::MinLogLevel()) {
    absl::SetMinLogLevel(absl::LogSeverityAtLeast::kWarning);
    absl::AddLogSink(this);
  }
  ~Warnings() override {
    absl::RemoveLogSink(this);
    absl::SetMinLogLevel(min_level_);
  }
  void Send(const absl::LogEntry& entry) override {
    if (entry.log_severity() == absl::LogSeverity::kWarning) {
      texts_.emplace_back(entry.text_message());
    }
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  const absl::LogSeverityAtLeast min_level_;
  std::vector<std::string> texts_;
};

TEST_F(RedisProtocolTest, APolicyThatMayEvictHeadsIsWarnedOfOnce) {
  Warnings warnings;
  redis_.Do({"CONFIG", "SET", "maxmemory-policy", "volatile-lfu"});
  Server();
  EXPECT_THAT(warnings.texts(), IsEmpty());
  redis_.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  EXPECT_EQ(Server()->Health()["maxmemory_policy"], "allkeys-lru");
  Server();
  EXPECT_THAT(warnings.texts(), ElementsAre(HasSubstr("has maxmemory-policy allkeys-lru")));
}

TEST_F(RedisProtocolTest, AServerThatDidNotSeeAnUpdateNeitherReadsNorPromotes) {
  const auto a = Server(), b = Server();
  Promote(*b, {1, 2}, {RowOf(1), RowOf(2)});
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(10)}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(1, RowOf(10)), Pair(2, RowOf(2))));
  EXPECT_THAT(FindAll(*b, {1, 2}), IsEmpty());
  EXPECT_EQ(Promote(*b, {3, 1}, {RowOf(3), RowOf(1)}), 0u) << "its rows are older";
  EXPECT_THAT(FindAll(*a, {3}), IsEmpty());
  EXPECT_EQ(Promote(*a, {3}, {RowOf(3)}), 1u);
}

TEST_F(RedisProtocolTest, AStoreThatChangedSinceItsLoadTakesOverAndFindsNothingOld) {
  Promote(*Server(), {1}, {RowOf(1)});
  const int64_t epoch = ParsedHead().epoch;
  const auto a = Server(/*is_updated=*/true);
  EXPECT_THAT(FindAll(*a, {1}), IsEmpty()) << "an update may have been killed before Redis had it";
  EXPECT_EQ(Promote(*a, {2}, {RowOf(2)}), 1u);
  EXPECT_GT(ParsedHead().epoch, epoch);
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
  const auto b = Server(/*is_updated=*/true);
  EXPECT_EQ(Promote(*b, {3}, {RowOf(3)}), 1u);
  EXPECT_EQ(Promote(*a, {4}, {RowOf(4)}), 0u) << "it had its turn, and does not take it back";
  EXPECT_THAT(FindAll(*a, {3}), IsEmpty());
}

TEST_F(RedisProtocolTest, AnUpdateThatRedisMissedEmptiesThePartition) {
  const auto a = Server();
  ASSERT_TRUE(Insert(*a, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  redis_.Do({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_FALSE(Insert(*a, {1}, {RowOf(10)}).ok());
  redis_.Do({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_THAT(FindAll(*a, {1, 2}), IsEmpty()) << "row 1 is old, and nobody says which rows are";
  EXPECT_EQ(Promote(*a, {2}, {RowOf(2)}), 1u) << "and so it is emptied";
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, AnEmptyRestartIsNoticed) {
  const auto a = Server();
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(1)}).ok());
  redis_.Do({"FLUSHALL"});
  EXPECT_THAT(FindAll(*a, {1}), IsEmpty());
  ASSERT_TRUE(Insert(*a, {2}, {RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, AnOldSnapshotIsNotBelieved) {
  const auto a = Server();
  const std::string key = RedisPartitionKey(RedisTableId(RedisSpec()), 0);
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(1)}).ok());
  const std::string before = Head();
  ASSERT_TRUE(a->Erase({1}).ok());
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(10)}).ok());
  redis_.Do({"SET", key, before});
  EXPECT_THAT(FindAll(*a, {1}), IsEmpty());
  ASSERT_TRUE(Insert(*a, {2}, {RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, ALateWriteOnAnotherConnectionIsRefused) {
  const auto a = Server();
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(1)}).ok());
  const RedisState first = ParsedHead().state;
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(2)}).ok());
  const RedisState second = ParsedHead().state;
  const Row old = RowOf(1);
  RedisWrite late;
  late.keys = {1, 7};
  late.rows.assign(2, {reinterpret_cast<const char*>(old.data()), sizeof(old)});
  late.before = {"loaded", RedisPosition(0)};
  late.after = first;
  EXPECT_EQ(Write(late), "there") << "the first update, executed again by a server that hung";
  late.before = late.after = first;
  late.is_promotion = true;
  EXPECT_EQ(Write(late), "refused") << "a promotion that was read before the second update";
  EXPECT_THAT(FindAll(*a, {1, 7}), ElementsAre(Pair(1, RowOf(2))));
  EXPECT_EQ(ParsedHead().state, second);
}

TEST_F(RedisProtocolTest, PartsOfOneUpdateLetNobodyPromoteInBetween) {
  const auto lineage = [](uint64_t n) { return RedisState{"stream", RedisPosition(n)}; };
  const Row row = RowOf(1);
  RedisWrite part;
  part.keys = {1};
  part.rows = {{reinterpret_cast<const char*>(row.data()), sizeof(row)}};
  part.before = lineage(0);
  part.after = lineage(5);
  EXPECT_EQ(Write(part), "written");
  part.before = lineage(5);
  part.after = lineage(6);
  part.is_last = false;
  EXPECT_EQ(Write(part), "written");
  EXPECT_EQ(ParsedHead().state.position, RedisPosition(5) + "+");
  RedisWrite promotion = part;
  promotion.is_promotion = true;
  promotion.after = promotion.before;
  EXPECT_EQ(Write(promotion), "refused");
  const int64_t epoch = ParsedHead().epoch;
  // The other follower of the stream writes the same update, whole; then ours is there already.
  part.is_last = true;
  EXPECT_EQ(Write(part), "written");
  EXPECT_EQ(ParsedHead().state, lineage(6));
  EXPECT_EQ(Write(part), "there");
  EXPECT_EQ(ParsedHead().epoch, epoch);
  // One that skips an update says that Redis missed one: emptied.
  part.before = lineage(8);
  part.after = lineage(9);
  EXPECT_EQ(Write(part), "written");
  EXPECT_GT(ParsedHead().epoch, epoch);
}

TEST_F(RedisProtocolTest, APromotionThatAnUpdatePassedIsRefused) {
  const auto a = Server();
  UpdateStamps stamps;
  const std::vector<Key> keys = {1, 2};
  const StampsRead read(&stamps, keys);
  { const UpdateStamps::Update update(&stamps, {1}, {}); }
  std::vector<uint32_t> refused;
  ASSERT_TRUE(Insert(*a, keys, {RowOf(1), RowOf(2)}, {OnExisting::kKeep, &read, &refused}).ok());
  EXPECT_THAT(refused, ElementsAre(0));
  EXPECT_THAT(FindAll(*a, keys), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, ServersThatFollowAStreamShareRows) {
  const auto a = Server(), b = Server();
  ASSERT_TRUE(Follow(*a, 1, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*b, {1, 2}), IsEmpty()) << "it would go back when Redis forgets them";
  EXPECT_EQ(Promote(*b, {3}, {RowOf(3)}), 0u);
  ASSERT_TRUE(Follow(*b, 1, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*b, {1, 2}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
  const int64_t epoch = ParsedHead().epoch;
  EXPECT_EQ(Promote(*b, {3}, {RowOf(3)}), 1u);
  // The other one is first now, and takes a row away.
  ASSERT_TRUE(Follow(*b, 2, {1}, {RowOf(10)}, {2}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2, 3}), IsEmpty());
  ASSERT_TRUE(Follow(*a, 2, {1}, {RowOf(10)}, {2}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2, 3}), ElementsAre(Pair(1, RowOf(10)), Pair(3, RowOf(3))));
  EXPECT_EQ(ParsedHead().epoch, epoch) << "nothing was ever emptied";
}

TEST_F(RedisProtocolTest, AFollowerThatStartsAgainGoesOnWithTheRows) {
  ASSERT_TRUE(Follow(*Server(), 7, {1}, {RowOf(1)}).ok());
  const auto again = Server(/*is_updated=*/true, /*applied=*/7);
  EXPECT_THAT(FindAll(*again, {1}), ElementsAre(Pair(1, RowOf(1))));
  EXPECT_EQ(Promote(*again, {2}, {RowOf(2)}), 1u);
  EXPECT_THAT(FindAll(*again, {1, 2}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, PartitionsBehindAFollowerThatStartsAreEmptied) {
  const auto other = Server();
  ASSERT_TRUE(Follow(*other, 7, {1}, {RowOf(1)}).ok());
  const int64_t epoch = ParsedHead().epoch;
  const auto a = Server(/*is_updated=*/true, /*applied=*/8);
  EXPECT_THAT(FindAll(*a, {1}), IsEmpty()) << "commit 8 may have changed it";
  EXPECT_EQ(Promote(*a, {2}, {RowOf(2)}), 1u);
  EXPECT_GT(ParsedHead().epoch, epoch);
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
  EXPECT_EQ(Promote(*other, {1}, {RowOf(1)}), 0u) << "it lags behind";
  ASSERT_TRUE(Follow(*other, 8, {1}, {RowOf(10)}).ok());
  EXPECT_THAT(FindAll(*other, {2}), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, AFollowerTakesOverWhatWasLoaded) {
  Promote(*Server(), {1}, {RowOf(1)});
  const auto a = Server(/*is_updated=*/true, /*applied=*/1);
  EXPECT_THAT(FindAll(*a, {1}), IsEmpty()) << "it was killed before Redis had the first commit";
  EXPECT_EQ(Promote(*a, {2}, {RowOf(2)}), 1u);
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(2, RowOf(2))));
}

TEST_F(RedisProtocolTest, AnUpdateThatFailsBelowIsBegunAgain) {
  const auto a = Server();
  ASSERT_TRUE(Follow(*a, 1, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  const int64_t epoch = ParsedHead().epoch;
  const UpdatePosition second{"s", 2}, third{"s", 3};
  ASSERT_TRUE(a->BeginUpdate({1}, {}, &second).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), IsEmpty());
  EXPECT_EQ(Promote(*a, {5}, {RowOf(5)}), 0u) << "of which state would it be?";
  ASSERT_TRUE(a->BeginUpdate({1}, {}, &second).ok());
  // The commit was given up, and the next one comes.
  ASSERT_TRUE(Follow(*a, 3, {2}, {RowOf(20)}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(20))));
  EXPECT_EQ(ParsedHead().epoch, epoch);
  EXPECT_EQ(ParsedHead().state.position, RedisPosition(third.number));
}

TEST_F(RedisProtocolTest, AnUpdateOfOnesOwnLeavesTheStream) {
  const auto a = Server(), b = Server();
  ASSERT_TRUE(Follow(*a, 1, {1}, {RowOf(1)}).ok());
  ASSERT_TRUE(Follow(*b, 1, {1}, {RowOf(1)}).ok());
  ASSERT_TRUE(Insert(*a, {1}, {RowOf(100)}).ok());
  EXPECT_THAT(FindAll(*a, {1}), ElementsAre(Pair(1, RowOf(100))));
  EXPECT_THAT(FindAll(*b, {1}), IsEmpty());
  ASSERT_TRUE(Follow(*b, 2, {2}, {RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*b, {1, 2}), ElementsAre(Pair(2, RowOf(2)))) << "row 100 is nobody else's";
  ASSERT_TRUE(Follow(*a, 2, {2}, {RowOf(2)}).ok());
  EXPECT_NE(ParsedHead().state.lineage, "s") << "its row 1 is not the stream's";
  EXPECT_THAT(FindAll(*b, {1, 2}), IsEmpty());
}

// A server that hangs executes, when it wakes, what had timed out, after what came later.
TEST_F(RedisProtocolTest, AWriteThatWakesUpLateChangesNothing) {
  TableSpec spec = RedisSpec();
  spec.is_kept = true;
  nlohmann::json options = redis_.Options();
  options.update({{"partitions", 1}, {"timeout_ms", 700}, {"breaker_failures", 1000}});
  const auto a = OpenRedis(options, spec), b = Server();
  ASSERT_TRUE(Follow(*a, 1, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  ASSERT_TRUE(Follow(*b, 1, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  redis_.Pause();
  const UpdatePosition second{"s", 2};
  ASSERT_TRUE(a->BeginUpdate({1}, {}, &second).ok());
  EXPECT_FALSE(a->Update({1}, ViewOf({RowOf(10)}), {}, &second).ok());
  redis_.Resume();
  ASSERT_TRUE(Follow(*b, 2, {1}, {RowOf(10)}).ok());
  ASSERT_TRUE(Follow(*b, 3, {1}, {RowOf(100)}).ok());
  ASSERT_TRUE(Follow(*a, 3, {1}, {RowOf(100)}).ok());
  EXPECT_THAT(FindAll(*a, {1, 2}), ElementsAre(Pair(1, RowOf(100)), Pair(2, RowOf(2))));
  EXPECT_EQ(ParsedHead().state.position, RedisPosition(3));
}

}  // namespace
}  // namespace tf_hps
