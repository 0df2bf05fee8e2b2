// A server that dies, comes back empty, hangs, is slow or full; and what is not Redis' fault.
#include <fstream>

#include "tests/cc/storage/redis_stores.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

using Clock = std::chrono::steady_clock;

// Short times, but enough for a sanitizer's build on a machine that stands still a while.
constexpr int kHastyMs = 700;
constexpr int kHastyFailures = 3;
// What a lookup may take that waits that long.
constexpr int kAboutHastyMs = kHastyMs + 450;

int MillisecondsOf(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return static_cast<int>((Clock::now() - start) / std::chrono::milliseconds(1));
}

// The shortest of some times, for this process may stand still too.
int FastestOf(int times, const std::function<void()>& work) {
  int fastest = MillisecondsOf(work);
  for (int i = 1; i < times; ++i) fastest = std::min(fastest, MillisecondsOf(work));
  return fastest;
}

nlohmann::json Hasty(const RedisServer& server) {
  nlohmann::json options = server.Options();
  options.update({{"timeout_ms", kHastyMs},
                  {"connect_timeout_ms", kHastyMs},
                  {"breaker_failures", kHastyFailures},
                  {"breaker_open_ms", 100}});
  return options;
}

std::string BreakerOf(const EmbeddingStore& store) {
  return store.Health()["servers"][0]["breaker"].get<std::string>();
}

absl::Status FindStatus(const EmbeddingStore& store, std::vector<Key> keys) {
  Batch batch(std::move(keys));
  Pending pending = Pending::All(batch.keys.size());
  const absl::Status status = store.Find(batch.keys, batch.sink, &pending);
  if (!status.ok()) EXPECT_EQ(pending.size(), batch.keys.size());
  return status;
}

void WaitUntilFound(const EmbeddingStore& store, Key key) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (FindStatus(store, {key}).ok()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "Redis is not used again";
}

TEST(RedisFailuresTest, AKilledServerIsLeftAloneAndUsedAgainWhenItIsBack) {
  RedisServer server;
  const auto store = OpenRedis(Hasty(server));
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  server.Kill();
  for (int i = 0; i < 5; ++i) {
    const absl::Status status = FindStatus(*store, {1});
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("tier redis"));
  }
  EXPECT_NE(BreakerOf(*store), "closed");
  // A thousand lookups that are not let through take no time to speak of.
  const int time = FastestOf(3, [&] {
    for (int i = 0; i < 1000; ++i) FindStatus(*store, {1}).IgnoreError();
  });
  EXPECT_LT(time, 1500);
  server.Start();
  WaitUntilFound(*store, 1);
  EXPECT_THAT(FindAll(*store, {1}), IsEmpty()) << "it came back empty";
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(2)}).ok());
  EXPECT_THAT(FindAll(*store, {1}), ElementsAre(Pair(1, RowOf(2))));
  EXPECT_EQ(BreakerOf(*store), "closed");
  EXPECT_GE(store->Health()["errors"], 5);
}

TEST(RedisFailuresTest, ARestartBetweenTwoLookupsCostsNone) {
  RedisServer server;
  const auto store = OpenRedis(server.Options());
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  server.Kill();
  server.Start();
  EXPECT_TRUE(FindStatus(*store, {1}).ok()) << "the idle connection was closed, that is all";
  EXPECT_EQ(store->Health()["errors"], 0);
}

TEST(RedisFailuresTest, APausedServerCostsTheTimeoutAndThenNothing) {
  RedisServer server;
  const auto store = OpenRedis(Hasty(server));
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  server.Pause();
  const int time = FastestOf(kHastyFailures, [&] {
    EXPECT_EQ(BreakerOf(*store), "closed");
    EXPECT_FALSE(FindStatus(*store, {1}).ok());
  });
  EXPECT_GE(time, kHastyMs - 10);
  EXPECT_LT(time, kAboutHastyMs);
  EXPECT_NE(BreakerOf(*store), "closed");
  EXPECT_EQ(store->Health()["timeouts"], kHastyFailures);
  server.Resume();
  WaitUntilFound(*store, 1);
  EXPECT_THAT(FindAll(*store, {1}), ElementsAre(Pair(1, RowOf(1))));
}

TEST(RedisFailuresTest, ASlowServerCostsTheTimeout) {
  RedisServer server;
  const auto store = OpenRedis(Hasty(server));
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  std::thread busy([&] {
    server.Do({"EVAL", "local t = redis.call('TIME')[1] repeat until redis.call('TIME')[1] - t > 3",
               "0"});
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const int time = FastestOf(2, [&] {
    EXPECT_FALSE(FindStatus(*store, {1}).ok()) << "it would find the row after a while";
  });
  EXPECT_LT(time, kAboutHastyMs);
  EXPECT_EQ(store->Health()["timeouts"], 2);
  busy.join();
  WaitUntilFound(*store, 1);
}

TEST(RedisFailuresTest, AFullServerRefusesRowsAndServesThoseItHas) {
  RedisServer server;
  const auto store = OpenRedis(server.Options());
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  server.Do({"CONFIG", "SET", "maxmemory", "1"});
  const absl::Status status = Insert(*store, {1, 2}, {RowOf(10), RowOf(20)});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(FindAll(*store, {1, 2}), ElementsAre(Pair(1, RowOf(1))));
  EXPECT_EQ(BreakerOf(*store), "closed");
  server.Do({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(Insert(*store, {1, 2}, {RowOf(10), RowOf(20)}).ok());
  EXPECT_THAT(FindAll(*store, {1, 2}), ElementsAre(Pair(1, RowOf(10)), Pair(2, RowOf(20))));
}

TEST(RedisFailuresTest, RowsOfAnotherFormatAreRefusedAtOpen) {
  RedisServer server;
  ASSERT_TRUE(OpenRedis(server.Options()) != nullptr);
  TableSpec spec = RedisSpec();
  spec.row_format = RowFormat::kFloat16;
  const auto other = FindBackend("redis")->open(spec, WithDefaults(server.Options()));
  EXPECT_TRUE(absl::IsInvalidArgument(other.status())) << other.status();
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("\"1 16 float32 4 test movie_id live-0\". Wanted, with any number of "
                        "partitions: \"1 16 float16 4 test movie_id live-0\""));
}

TEST(RedisFailuresTest, TheFirstServersPartitionsCount) {
  RedisServer server;
  nlohmann::json options = server.Options();
  options["partitions"] = 3;
  const auto first = OpenRedis(options);
  ASSERT_TRUE(Insert(*first, {1, 2, 3}, {RowOf(1), RowOf(2), RowOf(3)}).ok());
  options["partitions"] = 7;
  EXPECT_EQ(FindAll(*OpenRedis(options), {1, 2, 3}).size(), 3u);
}

TEST(RedisFailuresTest, RowsGoAfterTheirTime) {
  RedisServer server;
  nlohmann::json options = server.Options();
  options["ttl_s"] = 1;
  const auto store = OpenRedis(options);
  ASSERT_TRUE(Insert(*store, {1}, {RowOf(1)}).ok());
  EXPECT_THAT(FindAll(*store, {1}), ElementsAre(Pair(1, RowOf(1))));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_THAT(FindAll(*store, {1}), IsEmpty());
}

TEST(RedisFailuresTest, UsersAndPasswords) {
  RedisServer server;
  server.Do({"ACL", "SETUSER", "hps", "on", ">hunter2", "~*", "+@all"});
  server.Do({"CONFIG", "SET", "requirepass", "hunter3"});
  TempDir dir;
  std::ofstream(dir / "right") << "hunter2\n";
  std::ofstream(dir / "wrong") << "hunter4\n";
  nlohmann::json options = server.Options();
  const auto open = [&](bool is_kept) {
    TableSpec spec = RedisSpec();
    spec.is_kept = is_kept;
    return FindBackend("redis")->open(spec, WithDefaults(options)).status();
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(open(true))) << "NOAUTH is no outage";
  options.update({{"username", "hps"}, {"password_file", dir / "wrong"}});
  const absl::Status refused = open(true);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("WRONGPASS"));
  EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("hunter")));
  options["password_file"] = dir / "right";
  EXPECT_TRUE(open(true).ok()) << open(true);
  setenv("REDIS_TEST_PASSWORD", "hunter3", 1);
  options.update({{"username", nullptr}, {"password_file", nullptr}});
  options["password_env"] = "REDIS_TEST_PASSWORD";
  EXPECT_TRUE(open(false).ok()) << open(false);
}

TEST(RedisFailuresTest, BadUrlsAreRefusedWithoutBeingShown) {
  for (const char* url :
       {"redis://hps:hunter2@h", "redis://h?password=hunter2", "http://hunter2", "redis://",
        "redis://h:hunter2", "redis://h:1/hunter2", "redis://h:1,redis://hunter2:2"}) {
    const auto parsed = ParseRedisOptions({{"url", url}});
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << url;
    EXPECT_THAT(std::string(parsed.status().message()), Not(HasSubstr("hunter2")));
  }
}

TEST(RedisFailuresTest, AStoreThatNobodyIsBelowOpensOnlyBesideItsServer) {
  RedisServer server;
  server.Kill();
  TableSpec spec = RedisSpec();
  EXPECT_TRUE(
      absl::IsUnavailable(FindBackend("redis")->open(spec, WithDefaults(Hasty(server))).status()));
  spec.is_kept = true;
  const auto store = FindBackend("redis")->open(spec, WithDefaults(Hasty(server)));
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE(FindStatus(**store, {1}).ok());
  server.Start();
  WaitUntilFound(**store, 1);
}

// hiredis and OpenSSL write without MSG_NOSIGNAL. GoogleTest leaves SIGPIPE as it was: deadly.
TEST(RedisFailuresTest, WritingToADeadServerDoesNotEndTheProgram) {
  ASSERT_EQ(signal(SIGPIPE, SIG_DFL), SIG_DFL);
  RedisServer server;
  auto connection = server.Connect();
  ASSERT_TRUE(connection.ok());
  server.Kill();
  std::string commands;
  for (int i = 0; i < 200000; ++i) AppendRedisCommand({"PING"}, &commands);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE((*connection)->Send(commands, In(1000)).ok());
  }
}

}  // namespace
}  // namespace tf_hps
