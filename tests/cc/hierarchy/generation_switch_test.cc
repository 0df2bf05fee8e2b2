// Two generations of a table side by side, while one version of a model takes over from another.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cc/hierarchy/table_registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/repetitions.h"
#include "tests/cc/storage/other_process.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"
#include "tests/cc/update/segment_writer.h"

namespace tf_hps {
namespace {

using json = nlohmann::json;
using std::chrono::milliseconds;

// Of 16 bytes: an index of each generation takes more, and only half of the rows are left to share.
constexpr int kSwitchRows = 4000;
constexpr size_t kSwitchBatch = 64;
// What a generation's rows differ by.
constexpr float kOneGeneration = 100000;

// Of a few keys most of the time.
class SkewedKeys {
 public:
  explicit SkewedKeys(int seed) : random_(seed) {
    double sum = 0;
    for (int rank = 1; rank <= kSwitchRows; ++rank) sums_.push_back(sum += std::pow(rank, -1.1));
  }
  std::vector<Key> Next() {
    std::vector<Key> keys(kSwitchBatch);
    for (Key& key : keys) {
      const double drawn = std::uniform_real_distribution<>(0, sums_.back())(random_);
      const int64_t rank = std::lower_bound(sums_.begin(), sums_.end(), drawn) - sums_.begin();
      key = rank * 1237 % kSwitchRows;
    }
    return keys;
  }

 private:
  std::mt19937_64 random_;
  std::vector<double> sums_;
};

bool Becomes(const std::function<bool()>& is_so, milliseconds within = milliseconds(20'000)) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// The process that is killed: switches from version to version.
TEST(GenerationSwitchServer, DISABLED_SwitchForever) {
  TableRegistry::Get().closed().SetDelays(milliseconds(5), milliseconds(50));
  ASSERT_EQ(write(3, "r", 1), 1);
  std::shared_ptr<TableHandle> serving;
  for (int i = 0;; ++i) {
    auto following =
        TableRegistry::Get().Open(absl::StrCat(StorePath(), "/", 1 + i % 3, ".json"), "movie_id");
    ASSERT_TRUE(following.ok()) << following.status();
    serving = *std::move(following);
  }
}

class GenerationSwitchTest : public ::testing::Test {
 protected:
  GenerationSwitchTest() {
    RawStore store(store_);
    for (int version = 1; version <= 3; ++version) {
      store.LoadTable("movie_id", GenerationOf(version), version, kSwitchRows,
                      static_cast<float>(version) * kOneGeneration);
    }
    TableRegistry::Get().closed().SetDelays(milliseconds(200), std::chrono::minutes(10));
  }

  static std::string GenerationOf(int version) { return std::string(4, char('a' + version)); }

  using Handle = std::shared_ptr<TableHandle>;
  std::string Configure(int version, const json& more) {
    json config = {{"format_version", 1},
                   {"deployment", deployment_},
                   {"memory", {{"capacity_rows", kSwitchRows}}},
                   {"rocksdb", {{"path", store_}, {"read_only", true}}},
                   {"tables", {{"movie_id", {{"generation", GenerationOf(version)}}}}}};
    config.merge_patch(more);
    const std::string path = dir_ / absl::StrCat(version, ".json");
    std::ofstream(path) << config;
    return path;
  }
  Handle Open(int version, const json& more = json::object()) {
    auto opened = TableRegistry::Get().Open(Configure(version, more), "movie_id");
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *opened : nullptr;
  }

  // Looks up and checks every row.
  static void Look(const Handle& table, int version, const std::vector<Key>& keys) {
    std::vector<float> rows(keys.size() * 4, -1);
    const absl::Status status =
        table->table().Find(keys, table->SinkFor(ElementType::kFloat32, rows.data()));
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < keys.size(); ++i) {
      const float wanted = static_cast<float>(keys[i]) + version * kOneGeneration;
      ASSERT_THAT(std::vector<float>(&rows[4 * i], &rows[4 * i + 4]),
                  ::testing::ElementsAreArray(RowOf(wanted)))
          << "key " << keys[i] << " of version " << version;
    }
  }
  static double HitRate(const Handle& table, int version, int batches) {
    SkewedKeys requests(77);
    const auto hits = [&] { return table->Stats()["tiers"][0]["hits"].get<int64_t>(); };
    const int64_t before = hits();
    for (int i = 0; i < batches; ++i) Look(table, version, requests.Next());
    return static_cast<double>(hits() - before) / static_cast<double>(batches * kSwitchBatch);
  }
  static int64_t Memory(const Handle& table, const char* what) {
    return table->Stats()["tiers"][0][what].get<int64_t>();
  }
  static bool IsWhole(const Handle& table) {
    return Memory(table, "rows") == kSwitchRows && table->Stats()["tiers"][0]["complete"];
  }

  TempDir dir_;
  const std::string store_ = dir_ / "store";
  const std::string deployment_ = absl::StrCat("switch-", getpid(), "-", ++deployments_);
  static inline int deployments_ = 0;
};

TEST_F(GenerationSwitchTest, TwoShareTheMemoryOfOneAndTheLastHasAllOfIt) {
  Handle first = Open(1);
  ASSERT_TRUE(first->table().WaitForPreload().ok());
  ASSERT_TRUE(IsWhole(first));

  // Requests while the second one is opened: that is how it knows what is popular.
  std::atomic<bool> stop{false};
  std::thread requests([&] {
    for (SkewedKeys keys(1); !stop;) Look(first, 1, keys.Next());
  });
  Handle second = Open(2);
  EXPECT_EQ(Memory(first, "capacity_rows"), kSwitchRows / 4);
  EXPECT_LE(Memory(first, "rows"), kSwitchRows / 4);
  EXPECT_EQ(Memory(second, "capacity_rows"), kSwitchRows / 4);
  stop = true;
  requests.join();
  ASSERT_TRUE(second->table().WaitForPreload().ok());
  EXPECT_LE(Memory(second, "rows"), kSwitchRows / 4);
  // A quarter of all keys would answer a quarter of the requests if they were any.
  EXPECT_GT(HitRate(second, 2, 100), 0.6);
  EXPECT_GT(HitRate(first, 1, 100), 0.6);

  Handle third = Open(3);
  for (const Handle& one : {first, second, third}) {
    EXPECT_EQ(Memory(one, "capacity_rows"), kSwitchRows / 6);
  }
  first.reset();
  EXPECT_TRUE(Becomes([&] { return Memory(third, "capacity_rows") == kSwitchRows / 4; }));
  // Back to version 2.
  third.reset();
  EXPECT_TRUE(Becomes([&] { return IsWhole(second); })) << second->Stats()["tiers"][0];
  EXPECT_EQ(Memory(second, "capacity_rows"), kSwitchRows);
  EXPECT_EQ(HitRate(second, 2, 20), 1.0);
}

TEST_F(GenerationSwitchTest, AHundredSwitchesUnderRequests) {
  Handle serving = Open(1);
  std::atomic<int> version{1};
  Mutex mutex;
  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 2; ++client) {
    clients.emplace_back([&, client] {
      for (SkewedKeys keys(client); !stop && !HasFatalFailure();) {
        Handle table;
        int of = 0;
        {
          MutexLock lock(&mutex);
          table = serving;
          of = version;
        }
        Look(table, of, keys.Next());
        ++answered;
      }
    });
  }
  int64_t most_bytes = 0;
  for (int i = 0; i < Repetitions(100); ++i) {
    const int next = 1 + (version + 1) % 3;
    Handle following = Open(next);
    ASSERT_NE(following, nullptr);
    int64_t bytes = 0;
    for (const json& stats : TableRegistry::Get().Stats()) {
      if (stats["deployment"] == deployment_) bytes += stats["tiers"][0]["rows"].get<int64_t>();
    }
    most_bytes = std::max(most_bytes, bytes);
    MutexLock lock(&mutex);
    serving = std::move(following);
    version = next;
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered, 100);
  EXPECT_LE(most_bytes, kSwitchRows);
  EXPECT_TRUE(Becomes([&] { return IsWhole(serving); })) << serving->Stats()["tiers"][0];
}

TEST_F(GenerationSwitchTest, UpdatesOfAGenerationLeaveTheDiskAWhileAfterIt) {
  const std::string stream = dir_ / "stream";
  std::filesystem::create_directories(stream);
  const json more = {{"rocksdb", {{"state_dir", dir_ / "state"}}},
                     {"updates", {{"url", stream}, {"poll_ms", 2}}}};
  Handle first = Open(1, more);
  SegmentWriter writer(stream, deployment_, "0123abcd");
  for (int version : {1, 2}) {
    writer.Rows("movie_id", GenerationOf(version), 4, {7}, static_cast<float>(version));
  }
  const std::string position = writer.Commit();
  ASSERT_TRUE(first->WaitUntil(position, std::chrono::seconds(20)).ok());
  Handle second = Open(2, more);
  ASSERT_TRUE(second->WaitUntil(position, std::chrono::seconds(20)).ok());

  const auto kept = [&] {
    std::vector<std::string> generations;
    const auto tables = ReadRocksdbTables(dir_ / "state/overlay");
    EXPECT_TRUE(tables.ok()) << tables.status();
    for (const RocksdbTableRecord& record : *tables) generations.push_back(record.generation);
    return generations;
  };
  EXPECT_THAT(kept(), ::testing::UnorderedElementsAre(GenerationOf(1), GenerationOf(2)));
  // Back within the delay: nothing is lost.
  first.reset();
  first = Open(1, more);
  std::this_thread::sleep_for(milliseconds(400));
  EXPECT_THAT(kept(), ::testing::UnorderedElementsAre(GenerationOf(1), GenerationOf(2)));
  first.reset();
  EXPECT_TRUE(Becomes([&] { return kept().size() == 1; }));
  EXPECT_THAT(kept(), ::testing::ElementsAre(GenerationOf(2)));
  Look(second, 2, {1, 2, 3});
  // Nothing follows the last one: it stays, for the next start.
  second.reset();
  std::this_thread::sleep_for(milliseconds(400));
  EXPECT_THAT(kept(), ::testing::ElementsAre(GenerationOf(2)));
}

// At any point of opening, preloading, handing memory over and dropping: whoever starts next serves
// whole generations, with the updates that each of them had.
TEST_F(GenerationSwitchTest, AKilledServerLeavesNoGenerationHalf) {
  TableRegistry::Get().closed().SetDelays(std::chrono::minutes(10), std::chrono::minutes(10));
  const char* const given = std::getenv("TF_HPS_TEST_SEED");
  const unsigned seed = given != nullptr ? std::atoi(given) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("TF_HPS_TEST_SEED=", seed));
  std::mt19937 random(seed);
  const std::string stream = dir_ / "stream";
  std::filesystem::create_directories(stream);
  const json more = {{"rocksdb", {{"state_dir", dir_ / "state"}}},
                     {"updates", {{"url", stream}, {"poll_ms", 2}}}};
  for (int version = 1; version <= 3; ++version) Configure(version, more);
  SegmentWriter writer(stream, deployment_, "0123abcd");
  std::string last;
  float value = 0;
  const auto commit = [&] {
    ++value;
    for (int version = 1; version <= 3; ++version) {
      // Key 7 with every commit, and one that stays as this commit left it.
      writer.Rows("movie_id", GenerationOf(version), 4, {7, 100 + static_cast<Key>(value)},
                  value + static_cast<float>(version) * 1000);
    }
    last = writer.Commit();
  };
  commit();
  for (int kills = 0; kills < Repetitions(12); ++kills) {
    {
      OtherProcess server("SwitchForever", dir_.path());
      ASSERT_TRUE(server.ready());
      const auto end = std::chrono::steady_clock::now() + milliseconds(random() % 1000);
      while (std::chrono::steady_clock::now() < end) {
        commit();
        usleep(random() % 20'000);
      }
      server.Kill();
    }
    for (int version = 1; version <= 3; ++version) {
      const Handle table = Open(version, more);
      ASSERT_NE(table, nullptr);
      const absl::Status status = table->WaitUntil(last, std::chrono::seconds(20));
      ASSERT_TRUE(status.ok()) << status;
      std::vector<Key> keys(kSwitchRows);
      std::iota(keys.begin(), keys.end(), 0);
      std::vector<float> rows(keys.size() * 4);
      ASSERT_TRUE(
          table->table().Find(keys, table->SinkFor(ElementType::kFloat32, rows.data())).ok());
      for (const Key key : keys) {
        const float updated = key == 7 ? value : static_cast<float>(key - 100);
        const bool is_updated = key == 7 || (updated >= 1 && updated <= value);
        const float wanted = is_updated ? updated + static_cast<float>(version) * 1000
                                        : static_cast<float>(key) + version * kOneGeneration;
        ASSERT_EQ(rows[4 * key], wanted) << "key " << key << " of version " << version;
      }
    }
  }
}

}  // namespace
}  // namespace tf_hps
