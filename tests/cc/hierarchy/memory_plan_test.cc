#include "cc/hierarchy/memory_plan.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A machine of 1000 MB whose control groups a test writes.
class MemoryPlanTest : public ::testing::Test {
 protected:
  MemoryPlanTest() {
    Write("proc/meminfo", "MemTotal:  1024000 kB\nMemFree: 1 kB\nMemAvailable:  1000000 kB\n");
    Write("proc/self/cgroup", "0::/pod/server\n");
  }
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  ResourceLimits Limits() const { return ReadResourceLimits(dir_ / "cgroup", dir_ / "proc"); }

  // One table of a million rows of 256 bytes.
  absl::StatusOr<int64_t> Plan(nlohmann::json memory, bool has_disk, int64_t promised = 0) {
    TableSpec spec;
    spec.name = "movie_id";
    spec.embedding_dim = 64;
    spec.rows = 1'000'000;
    config_ = TableConfig();
    config_.sections["memory"] = std::move(memory);
    if (has_disk) config_.sections["rocksdb"] = {{"path", "/store"}};
    return PlanMemory(spec, Limits(), promised, /*shared=*/0, &config_);
  }

  const TempDir dir_;
  TableConfig config_;
};

TEST_F(MemoryPlanTest, TheTightestOfTheGroupAndItsParentsCounts) {
  EXPECT_EQ(Limits().memory_bytes, 1024000LL << 10);
  EXPECT_EQ(Limits().memory_used, 24000LL << 10);
  Write("cgroup/pod/memory.max", "500000000\n");
  Write("cgroup/pod/memory.current", "300000000\n");
  Write("cgroup/pod/memory.stat", "anon 1\ninactive_file 100000000\nactive_file 5\n");
  Write("cgroup/pod/server/memory.max", "max\n");
  EXPECT_EQ(Limits().memory_bytes, 500'000'000);
  EXPECT_EQ(Limits().memory_used, 200'000'000) << "idle page cache is given back";
  EXPECT_THAT(Limits().memory_from, HasSubstr("cgroup/pod/memory.max"));
  Write("cgroup/pod/server/memory.max", "400000000\n");
  Write("cgroup/pod/server/memory.current", "350000000\n");
  EXPECT_EQ(Limits().memory_free(), 50'000'000);
}

TEST_F(MemoryPlanTest, ControlGroupsOfVersion1AreRead) {
  Write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n");
  Write("cgroup/memory/a/memory.limit_in_bytes", "300000000\n");
  Write("cgroup/memory/a/memory.usage_in_bytes", "120000000\n");
  Write("cgroup/memory/a/memory.stat", "total_inactive_file 20000000\n");
  Write("cgroup/cpu/a/cpu.cfs_quota_us", "150000\n");
  Write("cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Limits().memory_free(), 200'000'000);
  EXPECT_EQ(Limits().cpus, 1.5);
}

TEST_F(MemoryPlanTest, InAContainerTheGroupsFolderIsTheRoot) {
  Write("cgroup/memory.max", "300000000\n");
  Write("cgroup/memory.current", "100000000\n");
  Write("cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Limits().memory_free(), 200'000'000);
  EXPECT_EQ(Limits().cpus, 2);
  Write("cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(Limits().cpus, 0);
}

TEST_F(MemoryPlanTest, ATableThatFitsIsLeftAsItIs) {
  const auto planned = Plan(nlohmann::json::object(), /*has_disk=*/false);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_GT(*planned, 256'000'000);
  EXPECT_LT(*planned, 300'000'000);
  EXPECT_FALSE(config_.sections["memory"].contains("capacity_bytes"));
}

TEST_F(MemoryPlanTest, TooMuchIsRefusedWithBothFiguresAndTheOption) {
  Write("cgroup/memory.max", "400000000\n");
  Write("cgroup/memory.current", "200000000\n");
  for (const bool has_disk : {false, true}) {
    const nlohmann::json asked =
        has_disk ? nlohmann::json{{"capacity_bytes", 10'000'000'000}} : nlohmann::json::object();
    const auto planned = Plan(asked, has_disk);
    EXPECT_EQ(planned.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(planned.status().message(),
                AllOf(HasSubstr("table \"movie_id\""), HasSubstr("and 200000000 are left"),
                      HasSubstr("of the limit of 400000000 bytes"), HasSubstr("memory.max"),
                      HasSubstr("TF_HPS_MEMORY_CAPACITY_BYTES")));
  }
  // The next good one.
  EXPECT_TRUE(Plan({{"capacity_bytes", 100'000'000}}, true).ok());
}

TEST_F(MemoryPlanTest, ATierWithoutABoundIsGivenWhatIsLeftWhereTheDiskHasTheRest) {
  Write("cgroup/memory.max", "400000000\n");
  Write("cgroup/memory.current", "200000000\n");
  const auto planned = Plan({{"capacity_bytes", nullptr}}, /*has_disk=*/true);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(*planned, 160'000'000) << "a tenth of the limit is left to others";
  EXPECT_EQ(config_.sections["memory"]["capacity_bytes"], 160'000'000);
}

TEST_F(MemoryPlanTest, WhatOpenTablesHaveYetToFillIsNotLeft) {
  Write("cgroup/memory.max", "500000000\n");
  Write("cgroup/memory.current", "100000000\n");
  EXPECT_TRUE(Plan(nlohmann::json::object(), /*has_disk=*/false).ok());
  EXPECT_FALSE(Plan(nlohmann::json::object(), /*has_disk=*/false, /*promised=*/200'000'000).ok());
}

TEST_F(MemoryPlanTest, AProcessGoesByTheQuotaOfItsContainer) {
  Write("cgroup/cpu.max", "100000 100000\n");
  ASSERT_EQ(setenv("TF_HPS_TEST_CGROUP_ROOT", dir_.path().c_str(), 1), 0);
  EXPECT_EQ(AvailableCpus(), 1);
  EXPECT_EQ(CurrentResourceLimits().memory_bytes, 1024000LL << 10);
  unsetenv("TF_HPS_TEST_CGROUP_ROOT");
}

}  // namespace
}  // namespace tf_hps
