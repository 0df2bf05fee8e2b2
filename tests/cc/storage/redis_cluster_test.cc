// A Redis Cluster of three: routing, a slot that migrates, a node that is lost and replaced.
#include <map>

#include "cc/redis/redis_client.h"
#include "cc/storage/redis_layout.h"
#include "tests/cc/storage/redis_stores.h"

namespace tf_hps {
namespace {

TEST(RedisSlotTest, IsRedisOwn) {
  EXPECT_EQ(RedisSlot("123456789"), 12739);
  EXPECT_EQ(RedisSlot("{user1000}.following"), RedisSlot("user1000"));
  EXPECT_EQ(RedisSlot("foo{}{bar}"), RedisSlot("foo{}{bar}"));
  EXPECT_NE(RedisSlot("foo{}{bar}"), RedisSlot("bar"));
  EXPECT_EQ(RedisSlot("foo{{bar}}zap"), RedisSlot("{bar"));
}

class RedisClusterTest : public ::testing::Test {
 protected:
  static constexpr Key kKeys = 500;

  void SetUp() override {
    for (Key key = 0; key < kKeys; ++key) {
      keys_.push_back(key);
      rows_.push_back(RowOf(static_cast<float>(key)));
    }
  }
  size_t Found(const EmbeddingStore& store, absl::Status* status) const {
    Batch batch(keys_);
    Pending pending = Pending::All(keys_.size());
    *status = store.Find(batch.keys, batch.sink, &pending);
    std::vector<bool> left(keys_.size());
    for (size_t i = 0; i < pending.size(); ++i) left[pending[i]] = true;
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (!left[i]) EXPECT_EQ(batch.rows[i], rows_[i]);
    }
    return keys_.size() - pending.size();
  }
  RedisCluster cluster_;
  std::vector<Key> keys_;
  std::vector<Row> rows_;
};

TEST_F(RedisClusterTest, ASlotMigratesDuringLookupsAndUpdates) {
  const auto store = OpenRedis(cluster_.Options());
  ASSERT_TRUE(Insert(*store, keys_, rows_).ok());
  absl::Status status;
  ASSERT_EQ(Found(*store, &status), keys_.size()) << status;
  size_t others = 0;
  for (const Key key : keys_) others += RedisPartition(key, 16) != 0;
  cluster_.Migrate(RedisSlot(RedisPartitionKey(RedisTableId(RedisSpec()), 0)), [&] {
    // Rows of the slot may be on both sides; the other slots' are served.
    EXPECT_GE(Found(*store, &status), others) << status;
    Insert(*store, keys_, rows_).IgnoreError();
  });
  ASSERT_TRUE(Insert(*store, keys_, rows_).ok());
  EXPECT_EQ(Found(*store, &status), keys_.size()) << status;
  EXPECT_GT(store->Health()["redirects"], 0);
}

TEST_F(RedisClusterTest, ALostNodeCostsItsSlotsUntilAnotherHasThem) {
  nlohmann::json options = cluster_.Options();
  options.update({{"breaker_open_ms", 100}, {"retries", 0}});
  const auto store = OpenRedis(options);
  ASSERT_TRUE(Insert(*store, keys_, rows_).ok());
  size_t elsewhere = 0;
  for (const Key key : keys_) {
    const std::string partition =
        RedisPartitionKey(RedisTableId(RedisSpec()), RedisPartition(key, 16));
    elsewhere += RedisSlot(partition) * 3 / 16384 != 2;
  }
  ASSERT_LT(elsewhere, keys_.size());
  cluster_.node(2).Kill();
  absl::Status status;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Found(*store, &status), elsewhere);
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  }
  cluster_.Replace(2);
  bool is_whole = false;
  for (int tries = 0; tries < 1500 && !is_whole; ++tries) {
    is_whole = Insert(*store, keys_, rows_).ok();
    if (!is_whole) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(is_whole) << Insert(*store, keys_, rows_) << "\n" << cluster_.Description();
  EXPECT_EQ(Found(*store, &status), keys_.size()) << status;
}

}  // namespace
}  // namespace tf_hps
