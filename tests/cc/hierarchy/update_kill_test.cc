// A server is killed at random moments while it follows a stream: afterwards its tables are what
// the commits up to their position say, nothing is lost, and nothing counts twice.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/bounded_model.h"
#include "tests/cc/hierarchy/following_tables.h"
#include "tests/cc/repetitions.h"
#include "tests/cc/storage/small_disk.h"

namespace tf_hps {
namespace {

constexpr int kKilledKeys = 40;

using Model = std::map<std::pair<std::string, Key>, float>;

int Number(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

// The process that is killed: this program again, with one test.
TEST(UpdateKillServer, DISABLED_Serve) {
  std::vector<std::shared_ptr<TableHandle>> tables;
  for (const char* name : {"movies", "users"}) {
    auto table = TableRegistry::Get().Open(std::getenv("TF_HPS_TEST_SERVER"), name);
    ASSERT_TRUE(table.ok()) << table.status();
    tables.push_back(*table);
  }
  while (true) pause();
}

void StopsUpdatesAndNoLookup(const std::string& disk) {
  FollowingTables tables;
  tables.config()["rocksdb"]["path"] = disk + "/store";
  tables.config().erase("memory");  // lookups need the disk
  tables.Open();
  const std::string generation = tables.Generation("movies");
  SegmentWriter writer = tables.Writer();
  std::vector<Key> keys(100000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = i;
  writer.Rows("movies", generation, FollowingTables::kDim, keys, 1);
  tables.WaitUntil("movies", writer.Commit());

  FillDisk(disk + "/ballast");
  const auto failing = [&] { return tables.Updates("movies")["state"] == "failing"; };
  float value = 1;
  std::string last;
  for (int commit = 0; commit < 1000 && !failing(); ++commit) {
    writer.Rows("movies", generation, FollowingTables::kDim, keys, ++value);
    last = writer.Commit();
    // RocksDB reserves some space for its log ahead, so it takes many to notice.
    while (!failing() && tables.Updates("movies")["position"] != last) usleep(1000);
  }
  ASSERT_TRUE(failing());
  EXPECT_THAT(tables.Updates("movies")["error"].get<std::string>(),
              testing::HasSubstr("No space left"));
  const float seen = tables.Value("movies", 4999);
  EXPECT_GE(seen, 1);
  for (Key key = 0; key < 5000; key += 100) EXPECT_EQ(tables.Value("movies", key), seen);

  unlink((disk + "/ballast").c_str());
  tables.WaitUntil("movies", last);
  for (Key key = 0; key < 5000; key += 100) EXPECT_EQ(tables.Value("movies", key), value);
  // Said when it has looked for more.
  for (int i = 0; i < 1000 && tables.Updates("movies")["state"] != "following"; ++i) usleep(10000);
  EXPECT_EQ(tables.Updates("movies")["state"], "following");
}

TEST(UpdateFullDisk, StopsUpdatesAndNoLookup) {
  const TempDir disk;
  const int result = OnSmallDisk(disk.path(), [&] { StopsUpdatesAndNoLookup(disk.path()); });
  if (result == kNoSmallDisk) GTEST_SKIP() << "this machine lets nobody mount a file system";
  EXPECT_EQ(result, 0);
}

pid_t StartServer(const std::string& config) {
  setenv("TF_HPS_TEST_SERVER", config.c_str(), 1);
  const pid_t server = fork();
  if (server != 0) return server;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  execl("/proc/self/exe", "server", "--gtest_filter=UpdateKillServer.*", "--gtest_brief=1",
        "--gtest_also_run_disabled_tests", nullptr);
  _exit(1);
}

class UpdateKillTest : public testing::Test {
 protected:
  UpdateKillTest() : writer_(tables_.Writer()) {}

  // One commit on both tables; now and then one that its publisher sends twice.
  void Commit(std::mt19937* random) {
    ++version_;
    const int64_t time_us = static_cast<int64_t>(version_) * 1000000;
    writer_.SetTime(time_us);
    now_.clear();
    for (const char* name : {"movies", "users"}) {
      std::vector<Key> keys, erased;
      const int n = 1 + (*random)() % 10;
      for (int i = 0; i < n; ++i) keys.push_back((*random)() % kKilledKeys);
      writer_.Rows(name, generations_[name], FollowingTables::kDim, keys, version_);
      if ((*random)() % 3 == 0) {
        erased.push_back((*random)() % kKilledKeys);
        writer_.Erase(name, generations_[name], erased);
      }
      BoundedModel& table = bounded_[name];
      table.Commit(time_us, keys, version_, erased);
      for (const auto& [key, row] : table.rows()) now_[{name, key}] = row.value;
    }
    const std::string bytes = writer_.Finish();
    const int times = (*random)() % 4 == 0 ? 2 : 1;
    for (int i = 0; i < times; ++i) {
      last_ = writer_.Write(bytes);
      models_[last_] = now_;
    }
  }

  void ExpectRowsOf(const Model& model, const std::string& name, const std::string& when) {
    for (Key key = 0; key < kKilledKeys; ++key) {
      const auto row = model.find({name, key});
      ASSERT_EQ(tables_.Value(name, key), row == model.end() ? 0 : row->second)
          << name << " " << key << " " << when;
    }
  }

  // The stream is trimmed behind its only reader.
  void ForgetBefore(const std::string& position) {
    while (!models_.empty() && models_.begin()->first < position) {
      std::filesystem::remove(tables_.stream() + "/" + models_.begin()->first);
      models_.erase(models_.begin());
    }
  }
  void Bound(const std::string& name, const GrowthBounds& bounds) {
    nlohmann::json& table = tables_.config()["tables"][name];
    if (bounds.max_rows > 0) table["max_rows"] = bounds.max_rows;
    if (bounds.ttl_s > 0) table["ttl_s"] = bounds.ttl_s;
    if (bounds.rejects) table["when_full"] = "reject";
    bounded_[name] = BoundedModel(bounds);
  }
  void KillAgainAndAgain(int kills);

  // An empty table each, of one generation.
  void MakeStore() {
    const nlohmann::json bounded = tables_.config()["tables"];
    for (auto& table : tables_.config()["tables"]) {
      for (const char* bound : {"max_rows", "ttl_s", "when_full"}) table.erase(bound);
    }
    const nlohmann::json with_stream = tables_.config()["updates"];
    tables_.config().erase("updates");
    tables_.Open();
    generations_ = {{"movies", tables_.Generation("movies")},
                    {"users", tables_.Generation("users")}};
    tables_.Close();
    tables_.config()["updates"] = with_stream;
    tables_.config()["tables"] = bounded;
    WriteConfig();
  }
  void WriteConfig() { std::ofstream(tables_.folder() + "/hps.json") << tables_.config().dump(); }

  std::map<std::string, std::string> generations_;
  FollowingTables tables_;
  SegmentWriter writer_;
  float version_ = 0;
  std::string last_;
  Model now_;
  std::map<std::string, BoundedModel> bounded_;
  std::map<std::string, Model> models_;  // by position
};

void UpdateKillTest::KillAgainAndAgain(int kills) {
  const unsigned seed = static_cast<unsigned>(Number("TF_HPS_TEST_SEED", getpid()));
  SCOPED_TRACE("TF_HPS_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  MakeStore();
  const std::string config = tables_.folder() + "/hps.json";
  int in_the_middle = 0;
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    const pid_t server = StartServer(config);
    ASSERT_GT(server, 0);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 120);
    while (std::chrono::steady_clock::now() < end) {
      Commit(&random);
      usleep(random() % 4000);
    }
    kill(server, SIGKILL);
    ASSERT_EQ(waitpid(server, nullptr, 0), server);
    // Without the stream: what was on the disk when it was killed.
    if (kill_number % 5 == 0 || kill_number + 1 == kills) {
      const nlohmann::json config_of_server = tables_.config();
      tables_.config().erase("updates");
      for (auto& table : tables_.config()["tables"]) table = {{"embedding_dim", 4}};
      tables_.Open();
      // Each table has a place of its own: a server may be killed when it has opened one of them.
      std::string position = last_;
      for (const char* name : {"movies", "users"}) {
        const auto record = tables_[name].table().lowest_store().StreamRecord();
        ASSERT_TRUE(record.ok()) << record.status();
        const std::string at =
            record->empty() ? "" : nlohmann::json::parse(*record)["position"].get<std::string>();
        ExpectRowsOf(at.empty() ? Model() : models_.at(at), name, "at " + at);
        in_the_middle += !at.empty() && at < last_;
        position = std::min(position, at);
      }
      ForgetBefore(position);
      tables_.Close();
      tables_.config() = config_of_server;
      WriteConfig();
    }
  }
  tables_.Open();
  // Servers that live 60 ms catch up with little: after 10,000 kills 100,000 commits were left.
  const std::chrono::seconds timeout(20 + kills / 10);
  tables_.WaitUntil("movies", last_, timeout);
  tables_.WaitUntil("users", last_, timeout);
  for (const char* name : {"movies", "users"}) ExpectRowsOf(now_, name, "at the end");
  EXPECT_EQ(tables_.Updates("movies")["gaps"], 0);
  for (const char* name : {"movies", "users"}) {
    if (!bounded_[name].bounds().any()) continue;
    EXPECT_EQ(tables_.Updates(name)["growth"]["rows"], bounded_[name].rows().size()) << name;
  }
  if (kills >= 200) EXPECT_GT(in_the_middle, 0) << "no kill came in the middle of the stream";
}

TEST_F(UpdateKillTest, AfterAKillEachCommitCountsOnce) {
  KillAgainAndAgain(Number("TF_HPS_TEST_KILLS", Repetitions(132)));
}

TEST_F(UpdateKillTest, AfterAKillTheSameRowsHaveExpired) {
  Bound("movies", {/*max_rows=*/15, /*ttl_s=*/4, /*rejects=*/false});
  Bound("users", {/*max_rows=*/20, /*ttl_s=*/6, /*rejects=*/true});
  KillAgainAndAgain(Number("TF_HPS_TEST_KILLS", Repetitions(28)));
}

TEST_F(UpdateKillTest, TwoProcessesFollowOneStream) {
  std::mt19937 random(7);
  Bound("users", {/*max_rows=*/20, /*ttl_s=*/6, /*rejects=*/false});
  MakeStore();
  // The server has the store, we have memory.
  const pid_t server = StartServer(tables_.folder() + "/hps.json");
  ASSERT_GT(server, 0);
  for (int i = 0; i < 40; ++i) Commit(&random);
  FollowingTables second;
  second.config()["deployment"] = tables_.deployment();
  second.config()["updates"]["url"] = tables_.stream();
  second.config()["tables"] = tables_.config()["tables"];
  second.config().erase("rocksdb");
  for (auto& [name, table] : second.config()["tables"].items()) {
    table["generation"] = generations_[name];
  }
  second.Open();
  for (int i = 0; i < 40; ++i) Commit(&random);
  second.WaitUntil("movies", last_);
  second.WaitUntil("users", last_);
  for (const char* name : {"movies", "users"}) {
    for (Key key = 0; key < kKilledKeys; ++key) {
      const auto row = now_.find({name, key});
      ASSERT_EQ(second.Value(name, key), row == now_.end() ? 0 : row->second) << name << " " << key;
    }
  }
  second.Close();
  // The other one came as far, for itself.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill(server, SIGKILL);
  ASSERT_EQ(waitpid(server, nullptr, 0), server);
  tables_.Open();
  tables_.WaitUntil("movies", last_);
  tables_.WaitUntil("users", last_);
  for (const char* name : {"movies", "users"}) ExpectRowsOf(now_, name, "in the other process");
}

}  // namespace
}  // namespace tf_hps
