// Tables whose store is in a bucket.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "cc/storage/fetched_stores.h"
#include "cc/storage/rocksdb_databases.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/common/fake_bucket.h"
#include "tests/cc/hierarchy/following_tables.h"
#include "tests/cc/storage/bucket_stores.h"

namespace tf_hps {
namespace {

class RemoteModelTest : public testing::Test {
 protected:
  // What was made on this machine goes to the bucket.
  void SetUp() override {
    const nlohmann::json updates = tables_.config()["updates"];
    tables_.config().erase("updates");
    tables_.Open();
    generation_ = tables_.Generation("movies");
    Insert(1, 10);
    Insert(2, 20);
    tables_.Close();
    const std::string bucket = tables_.folder() + "/bucket";
    std::filesystem::create_directory(bucket);
    std::filesystem::rename(tables_.folder() + "/store", bucket + "/store");
    WriteManifest(bucket + "/store");
    tables_.config()["updates"] = updates;
    tables_.config()["rocksdb"] = {{"path", FakeBucket::Url("store")},
                                   {"read_only", true},
                                   {"state_dir", tables_.folder() + "/state"}};
    tables_.config()["tables"] = {{"movies", nlohmann::json::object()}};
  }
  void Insert(Key key, float value) {
    const std::vector<float> row(FollowingTables::kDim, value);
    const auto* bytes = reinterpret_cast<const uint8_t*>(row.data());
    absl::Status status = tables_["movies"].table().Apply(
        {{&key, 1}, RowsView(bytes, row.size() * sizeof(float)), {}});
    ASSERT_TRUE(status.ok()) << status;
  }

  FollowingTables tables_;
  FakeBucket bucket_{tables_.folder() + "/bucket"};
  std::string generation_;
};

TEST_F(RemoteModelTest, UpdatesGoOverWhatWasFetched) {
  tables_.Open();
  EXPECT_EQ(tables_.Generation("movies"), generation_);
  SegmentWriter writer = tables_.Writer();
  writer.Rows("movies", generation_, FollowingTables::kDim, {2, 3}, 7);
  const std::string position = writer.Commit();
  tables_.WaitUntil("movies", position);
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(tables_.Value("movies", 1), 10);
    EXPECT_EQ(tables_.Value("movies", 2), 7);
    EXPECT_EQ(tables_.Value("movies", 3), 7);
    // An open store stays.
    ASSERT_TRUE(DropFetchedStores(tables_.folder() + "/state").ok());
    EXPECT_EQ(OpenRocksdbDatabases().size(), 2);  // and what lies over it
    tables_.Close();
    bucket_.TakeBytesRead();
    tables_.Open();
    EXPECT_EQ(bucket_.TakeBytesRead().size(), 1) << "more than the manifest";
  }
}

TEST_F(RemoteModelTest, StatisticsDoNotWaitForAFetch) {
  std::atomic<bool> reached{false}, goes_on{false};
  bucket_.SetFault([&](const std::string& name, uint64_t, std::string*) {
    if (name == "store/CURRENT") reached = true;
    while (reached && !goes_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return absl::OkStatus();
  });
  std::thread opening([&] { tables_.Open(); });
  while (!reached) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  TableRegistry::Get().Stats();
  EXPECT_FALSE(TableRegistry::Get().AnyTableWaits());
  goes_on = true;
  opening.join();
  EXPECT_EQ(tables_.Value("movies", 1), 10);
}

TEST_F(RemoteModelTest, AHotKeysFileMayBeInTheBucket) {
  const std::string folder = tables_.folder() + "/bucket/hot/" + tables_.deployment();
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/movies.keys", std::ios::binary)
      << "hpshotk1\x02" << std::string(7, '\0');
  tables_.config().erase("updates");
  tables_.config()["memory"] = {
      {"preload", false}, {"hot_keys_path", FakeBucket::Url("hot")}, {"save_hot_keys_s", 1}};
  tables_.Open();
  EXPECT_EQ(tables_["movies"].Stats()["tiers"][0]["rows"], 1);
  tables_.Close();
  EXPECT_FALSE(std::filesystem::exists("fake:"));
}

}  // namespace
}  // namespace tf_hps
