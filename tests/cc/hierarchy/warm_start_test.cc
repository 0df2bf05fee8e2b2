#include <cmath>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "cc/hierarchy/hot_keys.h"
#include "cc/hierarchy/table_registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kRows = 20'000;
constexpr int64_t kCapacity = 1'000;
constexpr size_t kBatch = 64;

// Keys of a zipf distribution, scattered so that neighbours are no help.
class Requests {
 public:
  explicit Requests(int seed) : random_(seed) {
    double sum = 0;
    for (int64_t rank = 1; rank <= kRows; ++rank) sums_.push_back(sum += std::pow(rank, -1.1));
  }
  std::vector<Key> Next() {
    std::vector<Key> keys(kBatch);
    for (Key& key : keys) {
      const double drawn = std::uniform_real_distribution<>(0, sums_.back())(random_);
      const int64_t rank = std::lower_bound(sums_.begin(), sums_.end(), drawn) - sums_.begin();
      key = rank * 7919 % kRows;
    }
    return keys;
  }

 private:
  std::mt19937_64 random_;
  std::vector<double> sums_;
};

// A table on disk with memory for a twentieth of it, which is closed and opened again.
class WarmStartTest : public ::testing::Test {
 protected:
  void Open(const nlohmann::json& more_of_memory) {
    nlohmann::json config = {{"format_version", 1},
                             {"deployment", "ratings"},
                             {"memory", {{"capacity_rows", kCapacity}, {"preload", false}}},
                             {"rocksdb", {{"path", "store"}}},
                             {"tables", {{"movie_id", {{"embedding_dim", 2}}}}}};
    config["memory"].update(more_of_memory);
    std::ofstream(dir_ / "hps.json") << config;
    auto opened = TableRegistry::Get().Open(dir_ / "hps.json", "movie_id");
    ASSERT_TRUE(opened.ok()) << opened.status();
    table_ = *opened;
  }
  void Fill() {
    std::vector<Key> keys(kRows);
    std::vector<float> rows(kRows * 2);
    for (int64_t i = 0; i < kRows; ++i) {
      keys[i] = i;
      rows[2 * i] = static_cast<float>(i);
    }
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()), 8);
    ASSERT_TRUE(table_->table().Apply({keys, view, {}}).ok());
  }
  // The share of ids that memory answers.
  double HitRate(Requests* requests, int batches) {
    const int64_t before = Hits();
    std::vector<float> rows(kBatch * 2);
    for (int i = 0; i < batches; ++i) {
      const std::vector<Key> keys = requests->Next();
      EXPECT_TRUE(
          table_->table().Find(keys, table_->SinkFor(ElementType::kFloat32, rows.data())).ok());
      for (size_t k = 0; k < keys.size(); ++k) EXPECT_EQ(rows[2 * k], keys[k]);
      if (i % 8 == 0) table_->table().WaitForPromotions();
    }
    return static_cast<double>(Hits() - before) / (batches * kBatch);
  }
  int64_t Hits() const { return table_->table().Stats()["tiers"][0]["hits"]; }

  const TempDir dir_;
  std::shared_ptr<TableHandle> table_;
};

TEST_F(WarmStartTest, ATableThatIsOpenedAgainBeginsWithTheHitRateItHad) {
  const nlohmann::json saving = {{"hot_keys_path", "hot"}, {"save_hot_keys_s", 3600}};
  Open(saving);
  Fill();
  Requests requests(1);
  HitRate(&requests, 300);
  const double steady = HitRate(&requests, 100);
  table_.reset();

  Open(nlohmann::json::object());
  const double cold = HitRate(&requests, 20);
  table_.reset();
  Open(saving);
  const double warm = HitRate(&requests, 20);
  EXPECT_GT(warm, 0.95 * steady) << "cold it was " << cold;
  EXPECT_LT(cold, 0.8 * steady) << "or this shows nothing";
}

TEST_F(WarmStartTest, HotKeysAreThoseThatAreAskedForMost) {
  Open(nlohmann::json::object());
  Fill();
  Requests requests(2);
  HitRate(&requests, 150);
  std::vector<float> row(2);
  for (int i = 0; i < 100; ++i) {
    const Key favourite = 4242;
    ASSERT_TRUE(table_->table()
                    .Find({&favourite, 1}, table_->SinkFor(ElementType::kFloat32, row.data()))
                    .ok());
    table_->table().WaitForPromotions();
  }
  const std::vector<Key> hot = table_->table().HotKeys(50);
  ASSERT_EQ(hot.size(), 50u);
  EXPECT_THAT(hot, ::testing::Contains(4242));
  EXPECT_THAT(hot, ::testing::Contains(0)) << "the most popular of all";
}

TEST_F(WarmStartTest, KeysThatTheTableDoesNotHaveAndTwiceTheSameDoNoHarm) {
  Open(nlohmann::json::object());
  Fill();
  table_.reset();
  const std::string path = dir_ / "hot/ratings/movie_id.keys";
  ASSERT_TRUE(WriteHotKeys(path, {7, -1, 7, 1 << 30, 3}).ok());
  Open({{"hot_keys_path", "hot"}});
  EXPECT_EQ(table_->table().Stats()["tiers"][0]["rows"], 2);
  EXPECT_THAT(*ReadHotKeys(path), ElementsAre(7, -1, 7, 1 << 30, 3)) << "nobody was to save";
}

TEST_F(WarmStartTest, WithoutAFileOrWithABrokenOneATableOpensAllTheSame) {
  Open({{"hot_keys_path", "hot"}});
  Fill();
  table_.reset();
  ASSERT_TRUE(WriteHotKeys(dir_ / "hot/ratings/movie_id.keys", {7}).ok());
  std::ofstream(dir_ / "hot/ratings/movie_id.keys") << "something else";
  const auto refused = ReadHotKeys(dir_ / "hot/ratings/movie_id.keys");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(refused.status().message(), HasSubstr("holds no hot keys"));
  Open({{"hot_keys_path", "hot"}});
  EXPECT_EQ(table_->table().Stats()["tiers"][0]["rows"], 0);
}

TEST_F(WarmStartTest, KeysAreSavedWhileTheTableServes) {
  Open({{"hot_keys_path", "hot"}, {"save_hot_keys_s", 1}});
  Fill();
  Requests requests(3);
  HitRate(&requests, 20);
  const std::string path = dir_ / "hot/ratings/movie_id.keys";
  for (int i = 0; i < 100 && !ReadHotKeys(path).ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(ReadHotKeys(path).ok());
}

}  // namespace
}  // namespace tf_hps
