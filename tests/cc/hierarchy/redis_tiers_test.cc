// A table in memory, Redis and RocksDB while Redis, or a part of its cluster, comes and goes:
// lookups never fail, and never see a row older than one that was there before. And a process that
// is killed between the writes of two tiers.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cc/hierarchy/embedding_table.h"
#include "cc/redis/redis_client.h"
#include "cc/storage/redis_layout.h"
#include "tests/cc/storage/redis_stores.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using nlohmann::json;

constexpr Key kRedisKeys = 300;

TableSpec Spec() {
  TableSpec spec = RedisSpec();
  spec.is_kept = true;
  return spec;
}

json OptionsOf(const std::string& kind, const json& given) {
  json options = json::object();
  for (const ConfigField& field : FindBackend(kind)->fields) {
    options[field.name] = field.default_value;
  }
  options.update(given);
  return options;
}

// Readers and an updater that run while a test does something to Redis. A row is {v, v, v, v}, v
// the number of the update that wrote it.
class RedisTiersTest : public ::testing::Test {
 protected:
  void Open(json redis) {
    redis.update({{"timeout_ms", 150},
                  {"connect_timeout_ms", 150},
                  {"breaker_failures", 2},
                  {"breaker_open_ms", 50},
                  {"partitions", 4}});
    TableConfig config;
    config.name = "movie_id";
    config.sections["memory"] = OptionsOf("memory", {{"capacity_rows", 64}});
    config.sections["redis"] = OptionsOf("redis", redis);
    config.sections["rocksdb"] = OptionsOf("rocksdb", {{"path", dir_ / "store"}});
    auto table = EmbeddingTable::Open(Spec(), config);
    ASSERT_TRUE(table.ok()) << table.status();
    table_ = *table;
  }

  void Update(std::vector<Key> keys) {
    const int version = begun_ + 1;
    for (const Key key : keys) newest_[key] = version;
    begun_ = version;
    const std::vector<Row> rows(keys.size(),
                                Row{1.f * version, 1.f * version, 1.f * version, 1.f * version});
    const absl::Status status = table_->Apply({keys, ViewOf(rows), {}});
    ASSERT_TRUE(status.ok()) << status;
    for (const Key key : keys) done_[key] = version;
  }
  void UpdateAll() {
    std::vector<Key> keys;
    for (Key key = 0; key < kRedisKeys; ++key) keys.push_back(key);
    Update(keys);
  }

  // Lookups and updates go on while `work` runs.
  void During(const std::function<void()>& work) {
    UpdateAll();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int r = 0; r < 2; ++r) {
      threads.emplace_back([&, r] {
        std::mt19937 random(r);
        std::vector<int> seen(kRedisKeys);
        while (!stop) {
          Batch batch(std::vector<Key>(40));
          std::vector<int> done;
          for (Key& key : batch.keys) {
            key = random() % kRedisKeys;
            done.push_back(done_[key]);
          }
          const absl::Status status = table_->Find(batch.keys, batch.sink);
          ASSERT_TRUE(status.ok()) << status;
          // A key may be twice in a batch, and an update come in between: both answers are right.
          const std::vector<int> before = seen;
          for (size_t i = 0; i < batch.keys.size(); ++i) {
            const int version = static_cast<int>(batch.rows[i][0]);
            const Key key = batch.keys[i];
            ASSERT_EQ(batch.rows[i], (Row{batch.rows[i][0], batch.rows[i][0], batch.rows[i][0],
                                          batch.rows[i][0]}));
            ASSERT_GE(version, done[i]) << "key " << key;
            ASSERT_GE(version, before[key]) << "key " << key << " went back";
            ASSERT_LE(version, newest_[key]) << "key " << key;
            seen[key] = std::max(seen[key], version);
          }
          ++lookups_;
        }
      });
    }
    threads.emplace_back([&] {
      std::mt19937 random(7);
      while (!stop) {
        std::vector<Key> keys;
        for (int i = 0; i < 8; ++i) keys.push_back(random() % kRedisKeys);
        Update(keys);
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    });
    work();
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }
  void Serve(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }

  json RedisStats() const { return table_->Stats()["tiers"][1]; }
  // Rows come from Redis again.
  void WaitUntilUsed() {
    const int64_t hits = RedisStats()["hits"];
    for (int tries = 0; tries < 1000; ++tries) {
      if (RedisStats()["hits"] > hits + 100) return;
      Serve(10);
    }
    ADD_FAILURE() << "Redis is not used again: " << RedisStats();
  }
  void ExpectAllAreNewest() {
    table_->WaitForPromotions();
    std::vector<Key> keys;
    for (Key key = 0; key < kRedisKeys; ++key) keys.push_back(key);
    Batch all(keys);
    ASSERT_TRUE(table_->Find(all.keys, all.sink).ok());
    for (Key key = 0; key < kRedisKeys; ++key) EXPECT_EQ(all.rows[key][0], done_[key]) << key;
    EXPECT_GT(lookups_, 50);
  }

  TempDir dir_;
  std::shared_ptr<EmbeddingTable> table_;
  std::atomic<int> begun_{0}, lookups_{0};
  std::array<std::atomic<int>, kRedisKeys> newest_ = {}, done_ = {};
};

TEST_F(RedisTiersTest, LookupsAndUpdatesOutliveEverythingThatHappensToAServer) {
  RedisServer redis;
  Open(redis.Options());
  During([&] {
    WaitUntilUsed();
    redis.Kill();
    Serve(200);
    redis.Start();
    WaitUntilUsed();
    for (int i = 0; i < 3; ++i) {
      redis.Pause();
      Serve(200);
      redis.Resume();
      Serve(100);
    }
    WaitUntilUsed();
    redis.Do({"CONFIG", "SET", "maxmemory", "1"});
    Serve(200);
    redis.Do({"CONFIG", "SET", "maxmemory", "0"});
    WaitUntilUsed();
    redis.Do({"EVAL", "local t = redis.call('TIME')[1] repeat until redis.call('TIME')[1] - t > 1",
              "0"});
    WaitUntilUsed();
  });
  ExpectAllAreNewest();
  EXPECT_GT(RedisStats()["errors"], 0);
}

TEST_F(RedisTiersTest, LookupsAndUpdatesOutliveASlotThatMovesAndANodeThatIsLost) {
  RedisCluster cluster;
  Open(cluster.Options());
  During([&] {
    WaitUntilUsed();
    for (const int partition : {0, 3}) {
      cluster.Migrate(RedisSlot(RedisPartitionKey(RedisTableId(Spec()), partition)),
                      [&] { Serve(100); });
    }
    WaitUntilUsed();
    cluster.node(2).Kill();
    Serve(300);
    cluster.Replace(2);
    WaitUntilUsed();
  });
  ExpectAllAreNewest();
}

// A server that follows a stream: what it does with one commit after the other.
struct Follower {
  Follower(const std::string& folder, const json& redis_options) {
    const StoreBackend& backend = *FindBackend("rocksdb");
    const json options = OptionsOf("rocksdb", {{"path", folder}});
    TableSpec spec = Spec();
    if (const auto there = backend.describe(spec.name, spec.generation, options); there.ok()) {
      spec.is_updated = there->is_updated;
      spec.applied = there->applied;
    }
    store = *backend.open(spec, options);
    redis = OpenRedis(redis_options, spec);
  }
  void Below(uint64_t number, Key key, const Row& row) {
    const UpdatePosition position{"s", number};
    EXPECT_TRUE(redis->BeginUpdate({key}, {}, &position).ok());
    const std::unique_ptr<StoreCommit> commit = store->NewCommit();
    const std::vector<Row> rows = {row};
    EXPECT_TRUE(store->AddTo(commit.get(), {{key}, ViewOf(rows), {}, "place", position}));
    EXPECT_TRUE(commit->Write().ok());
  }
  void Above(uint64_t number, Key key, const Row& row) {
    const UpdatePosition position{"s", number};
    EXPECT_TRUE(redis->Update({key}, ViewOf({row}), {}, &position).ok());
  }

  std::unique_ptr<EmbeddingStore> store, redis;
};

// The child of the next test: this program again, in a process that may be killed.
TEST(DISABLED_KilledFollower, Child) {
  const json redis_options = json::parse(getenv("TF_HPS_TEST_REDIS"));
  Follower follower(getenv("TF_HPS_TEST_STORE"), redis_options);
  follower.Below(1, 1, RowOf(1));
  follower.Above(1, 1, RowOf(1));
  follower.Below(2, 1, RowOf(10));
  kill(getpid(), SIGKILL);
}

TEST(KilledFollowerTest, BetweenRocksdbAndRedisLeavesNoOldRow) {
  RedisServer redis;
  TempDir dir;
  json options = redis.Options();
  options["partitions"] = 1;
  const pid_t child = fork();
  if (child == 0) {
    setenv("TF_HPS_TEST_REDIS", options.dump().c_str(), 1);
    setenv("TF_HPS_TEST_STORE", (dir / "store").c_str(), 1);
    execl("/proc/self/exe", "redis_tiers_test", "--gtest_also_run_disabled_tests",
          "--gtest_filter=DISABLED_KilledFollower.Child", nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;

  // Another server has the first commit, and with it what Redis has, also after a restart.
  std::optional<Follower> started(std::in_place, dir / "other", options);
  EXPECT_THAT(FindAll(*started->redis, {1}), IsEmpty()) << "it has not come that far";
  started->Below(1, 1, RowOf(1));
  started->Above(1, 1, RowOf(1));
  started.reset();
  Follower other(dir / "other", options);
  EXPECT_THAT(FindAll(*other.redis, {1}), ElementsAre(Pair(1, RowOf(1))));
  // The killed one has the second in RocksDB, and knows it.
  Follower again(dir / "store", options);
  EXPECT_THAT(FindAll(*again.store, {1}), ElementsAre(Pair(1, RowOf(10))));
  EXPECT_THAT(FindAll(*again.redis, {1}), IsEmpty());
  ASSERT_TRUE(Insert(*again.redis, {1}, {RowOf(10)}, {OnExisting::kKeep}).ok());
  EXPECT_THAT(FindAll(*again.redis, {1}), ElementsAre(Pair(1, RowOf(10))));
  EXPECT_THAT(FindAll(*other.redis, {1}), IsEmpty());
  other.Below(2, 1, RowOf(10));
  other.Above(2, 1, RowOf(10));
  EXPECT_THAT(FindAll(*other.redis, {1}), ElementsAre(Pair(1, RowOf(10))));
}

TEST(RestartedFollowerTest, RowsThatWereAlsoChangedOtherwiseAreSharedWithNobody) {
  RedisServer redis;
  TempDir dir;
  Follower first(dir / "first", redis.Options());
  first.Below(1, 1, RowOf(1));
  first.Above(1, 1, RowOf(1));
  std::optional<Follower> second(std::in_place, dir / "second", redis.Options());
  ASSERT_TRUE(Insert(*second->store, {1}, {RowOf(7)}).ok());
  second->Below(1, 2, RowOf(2));
  second.reset();
  Follower again(dir / "second", redis.Options());
  EXPECT_THAT(FindAll(*again.redis, {1}), IsEmpty()) << "its row is another one";
}

}  // namespace
}  // namespace tf_hps
