#include "cc/hierarchy/table_registry.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TableRegistryTest : public ::testing::Test {
 protected:
  TableRegistryTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("tf_hps_registry_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~TableRegistryTest() override { std::filesystem::remove_all(folder_); }

  std::string Config(const std::string& name, const nlohmann::json& config) {
    const std::string path = folder_ / name;
    std::ofstream(path) << config;
    return path;
  }

  static nlohmann::json InMemory(int dim) {
    return {{"format_version", 1},
            {"deployment", "ratings"},
            {"memory", nlohmann::json::object()},
            {"tables", {{"movie_id", {{"embedding_dim", dim}}}}}};
  }
  static nlohmann::json OnDisk(bool read_only) {
    nlohmann::json config = InMemory(2);
    config["rocksdb"] = {{"path", "store"}, {"read_only", read_only}};
    return config;
  }

  static std::shared_ptr<TableHandle> MustOpen(const std::string& path) {
    auto table = TableRegistry::Get().Open(path, "movie_id");
    EXPECT_TRUE(table.ok()) << table.status();
    return table.ok() ? *table : nullptr;
  }
  static void Insert(const TableHandle& table, Key key, float a, float b) {
    const float row[2] = {a, b};
    const RowsView rows(reinterpret_cast<const uint8_t*>(row), sizeof(row));
    const absl::Status status = table.table().Apply({{&key, 1}, rows, {}});
    ASSERT_TRUE(status.ok()) << status;
  }
  static std::vector<float> Find(const TableHandle& table, Key key) {
    std::vector<float> row(2, -77.0f);
    const absl::Status status =
        table.table().Find({&key, 1}, table.SinkFor(ElementType::kFloat32, row.data()));
    EXPECT_TRUE(status.ok()) << status;
    return row;
  }

  const std::filesystem::path folder_;
};

TEST_F(TableRegistryTest, EqualIdentityIsOneTable) {
  const auto a = MustOpen(Config("a.json", InMemory(2)));
  const auto b = MustOpen(Config("b.json", InMemory(2)));
  EXPECT_EQ(&a->table(), &b->table());
  Insert(*a, 1, 10, 11);
  EXPECT_THAT(Find(*b, 1), ElementsAre(10, 11));
}

TEST_F(TableRegistryTest, WhoAttachesKeepsItsOwnDefaultRow) {
  const auto a = MustOpen(Config("a.json", InMemory(2)));
  nlohmann::json other = InMemory(2);
  other["tables"]["movie_id"]["default_row"] = {5, 6};
  const auto b = MustOpen(Config("b.json", other));
  EXPECT_EQ(&a->table(), &b->table());
  EXPECT_THAT(Find(*a, 1), ElementsAre(0, 0));
  EXPECT_THAT(Find(*b, 1), ElementsAre(5, 6));
}

// Lookup kernels ask it when they are made: a disk is waited for on threads of our own.
TEST_F(TableRegistryTest, TablesWaitWhenMemoryCannotHoldThem) {
  const auto in_memory = MustOpen(Config("memory.json", InMemory(2)));
  EXPECT_FALSE(TableRegistry::Get().AnyTableWaits());

  nlohmann::json config = OnDisk(false);
  config["deployment"] = "preloaded";
  auto on_disk = MustOpen(Config("disk.json", config));
  for (Key key = 0; key < 100; ++key) Insert(*on_disk, key, 1, 2);
  EXPECT_FALSE(TableRegistry::Get().AnyTableWaits());
  on_disk.reset();

  config["memory"]["preload"] = false;
  on_disk = MustOpen(Config("disk.json", config));
  EXPECT_TRUE(TableRegistry::Get().AnyTableWaits());
  on_disk.reset();
  EXPECT_FALSE(TableRegistry::Get().AnyTableWaits());

  config.erase("memory");
  on_disk = MustOpen(Config("disk.json", config));
  EXPECT_TRUE(TableRegistry::Get().AnyTableWaits());
}

TEST_F(TableRegistryTest, ATableEndsWithItsLastHolder) {
  const std::string path = Config("a.json", InMemory(2));
  auto table = MustOpen(path);
  Insert(*table, 1, 10, 11);
  table.reset();
  EXPECT_THAT(Find(*MustOpen(path), 1), ElementsAre(0, 0));
}

TEST_F(TableRegistryTest, AnotherDeploymentIsAnotherTable) {
  nlohmann::json other = InMemory(2);
  other["deployment"] = "books";
  const auto a = MustOpen(Config("a.json", InMemory(2)));
  const auto b = MustOpen(Config("b.json", other));
  EXPECT_NE(&a->table(), &b->table());
}

TEST_F(TableRegistryTest, AnotherWidthUnderOneIdentityNamesBoth) {
  const auto table = MustOpen(Config("a.json", InMemory(2)));
  const auto other = TableRegistry::Get().Open(Config("b.json", InMemory(3)), "movie_id");
  EXPECT_EQ(other.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(other.status().message()),
              AllOf(HasSubstr("embedding_dim 2"), HasSubstr("asks for 3")));
}

TEST_F(TableRegistryTest, ACacheOnGpusHasRoomForARowAtLeast) {
  for (const char* capacity : {"capacity_rows", "capacity_bytes"}) {
    nlohmann::json config = InMemory(2);
    config["gpu_cache"] = {{capacity, 0}};
    const auto table = TableRegistry::Get().Open(Config("none.json", config), "movie_id");
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(
        std::string(table.status().message()),
        AllOf(HasSubstr(capacity), HasSubstr("whole number from 1"), HasSubstr("Received: 0")));
  }
}

TEST_F(TableRegistryTest, AnUnknownTableListsTheKnownOnes) {
  const auto table = TableRegistry::Get().Open(Config("a.json", InMemory(2)), "movies");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(table.status().message()),
              AllOf(HasSubstr("no table \"movies\""), HasSubstr("movie_id")));
}

TEST_F(TableRegistryTest, AWritableStoreTakesANewTableAndKeepsItsRows) {
  const std::string path = Config("a.json", OnDisk(false));
  auto table = MustOpen(path);
  const std::string generation = table->spec().generation;
  EXPECT_THAT(generation, ::testing::StartsWith("live-"));
  Insert(*table, -1, 1, 2);
  table.reset();
  table = MustOpen(path);
  EXPECT_EQ(table->spec().generation, generation);
  EXPECT_THAT(Find(*table, -1), ElementsAre(1, 2));
}

TEST_F(TableRegistryTest, AReadOnlyStoreWithoutTheTableIsNotFound) {
  MustOpen(Config("a.json", OnDisk(false)));
  nlohmann::json config = OnDisk(true);
  config["tables"] = {{"user_id", {{"embedding_dim", 2}}}};
  const auto table = TableRegistry::Get().Open(Config("b.json", config), "user_id");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(table.status().message()),
              AllOf(HasSubstr("user_id"), HasSubstr("movie_id")));
}

TEST_F(TableRegistryTest, AConfigThatDisagreesWithTheStoreNamesBoth) {
  MustOpen(Config("a.json", OnDisk(false)));
  nlohmann::json config = OnDisk(true);
  config["tables"]["movie_id"]["embedding_dim"] = 5;
  const auto table = TableRegistry::Get().Open(Config("b.json", config), "movie_id");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(table.status().message()),
              AllOf(HasSubstr("says embedding_dim 5"), HasSubstr("store has 2")));
}

TEST_F(TableRegistryTest, ManyOpenAndDropOneTableAtOnce) {
  const std::string path = Config("a.json", OnDisk(false));
  Insert(*MustOpen(path), 1, 1, 1);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const auto table = TableRegistry::Get().Open(path, "movie_id");
        if (!table.ok()) {
          ADD_FAILURE() << table.status();
          ++wrong;
          continue;
        }
        if (Find(**table, 1) != std::vector<float>{1, 1}) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tf_hps
