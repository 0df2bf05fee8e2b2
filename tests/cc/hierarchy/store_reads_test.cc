// Lookups that miss the same keys at the same time.

#include "cc/hierarchy/store_reads.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "cc/hierarchy/table_handle.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// A table on one disk whose reads a test can hold.
class StoreReadsTest : public ::testing::Test {
 protected:
  StoreReadsTest() {
    RegisterModelBackends();
    ModelStates()["model_disk"] = std::make_shared<ModelState>();
    TableSpec spec;
    spec.deployment = "test";
    spec.name = "movie_id";
    spec.embedding_dim = 1;
    TableConfig config;
    config.name = spec.name;
    config.sections["model_disk"] = {{"preload", false}};
    table_ = *EmbeddingTable::Open(spec, config);
    handle_ = *TableHandle::Create(table_, config);
  }

  ModelState& disk() { return *ModelStates()["model_disk"]; }
  int64_t SharedReads() const { return table_->Stats()["shared_reads"]; }
  void WaitForSharedReads(int64_t keys) const {
    while (SharedReads() < keys) std::this_thread::yield();
  }

  void Insert(Key key, float element) {
    const RowsView row(reinterpret_cast<const uint8_t*>(&element), sizeof(element));
    ASSERT_TRUE(table_->Apply({{&key, 1}, row, {}}).ok());
  }
  absl::Status Find(const std::vector<Key>& keys, std::vector<float>* rows) {
    rows->assign(keys.size(), -77.0f);
    return table_->Find(keys, handle_->SinkFor(ElementType::kFloat32, rows->data()));
  }
  std::vector<float> MustFind(const std::vector<Key>& keys) {
    std::vector<float> rows;
    const absl::Status status = Find(keys, &rows);
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }
  // The keys of each read of the disk, after all.
  std::vector<std::vector<Key>> Asked() {
    MutexLock lock(&disk().mutex);
    return disk().asked;
  }
  // Runs `meanwhile` between what the first read of the disk has read and its end.
  void InTheFirstRead(std::function<void()> meanwhile) {
    disk().after_find = [this, meanwhile = std::move(meanwhile)] {
      if (!held_.exchange(true)) meanwhile();
    };
  }

  std::shared_ptr<EmbeddingTable> table_;
  std::shared_ptr<TableHandle> handle_;
  std::atomic<bool> held_{false};
};

TEST_F(StoreReadsTest, KeysThatConcurrentLookupsMissAreReadOnce) {
  for (Key key : {1, 2, 3}) Insert(key, key);
  std::vector<std::thread> others;
  InTheFirstRead([&] {
    for (int i = 0; i < 4; ++i) {
      others.emplace_back([&] {
        EXPECT_THAT(MustFind({2, 1, 9, 2, 1}), ElementsAre(2, 1, 0, 2, 1));
      });
    }
    WaitForSharedReads(12);
  });
  EXPECT_THAT(MustFind({9, 1, 2}), ElementsAre(0, 1, 2)) << "9 is unknown";
  for (std::thread& other : others) other.join();
  EXPECT_THAT(Asked(), ElementsAre(ElementsAre(1, 2, 9)));
  EXPECT_EQ(table_->Stats()["default_rows"], 5) << "as many as positions";
  EXPECT_EQ(table_->Stats()["tiers"][0]["hits"], 18);
}

TEST_F(StoreReadsTest, ALookupReadsTheKeysThatNobodyReads) {
  for (Key key : {1, 2, 3, 4}) Insert(key, key);
  std::thread other;
  InTheFirstRead([&] {
    other = std::thread([&] { EXPECT_THAT(MustFind({4, 3, 2, 1}), ElementsAre(4, 3, 2, 1)); });
    WaitForSharedReads(2);
  });
  MustFind({1, 3});
  other.join();
  EXPECT_THAT(Asked(), ElementsAre(ElementsAre(1, 3), ElementsAre(2, 4)));
}

TEST_F(StoreReadsTest, ALookupAfterAnUpdateTakesNoRowReadBeforeIt) {
  Insert(1, 10);
  Insert(2, 20);
  InTheFirstRead([&] {
    Insert(1, 11);
    EXPECT_THAT(MustFind({1}), ElementsAre(11));
  });
  EXPECT_THAT(MustFind({1, 2}), ElementsAre(10, 20)) << "began before the update";
  EXPECT_EQ(SharedReads(), 0);
  EXPECT_THAT(Asked(), ElementsAre(ElementsAre(1, 2), ElementsAre(1)));
}

TEST_F(StoreReadsTest, AnotherLookupsErrorIsNotOurs) {
  Insert(1, 10);
  std::thread other;
  disk().before_find = [&] {
    if (held_.exchange(true)) {
      MutexLock lock(&disk().mutex);
      disk().find_status = absl::OkStatus();
      return;
    }
    other = std::thread([&] { EXPECT_THAT(MustFind({1}), ElementsAre(10)); });
    WaitForSharedReads(1);
    MutexLock lock(&disk().mutex);
    disk().find_status = absl::UnavailableError("the disk is busy");
  };
  std::vector<float> rows;
  EXPECT_TRUE(absl::IsUnavailable(Find({1}, &rows)));
  other.join();
  EXPECT_THAT(Asked(), SizeIs(2));
}

TEST_F(StoreReadsTest, AFewKeysDoNotWaitForAHundredThousand) {
  Insert(1, 10);
  InTheFirstRead([&] { EXPECT_THAT(MustFind({1}), ElementsAre(10)); });
  std::vector<Key> many(100000);
  std::iota(many.begin(), many.end(), 0);
  MustFind(many);
  EXPECT_THAT(Asked(), SizeIs(2));
}

TEST_F(StoreReadsTest, LookupsOfOverlappingKeysEndWithTheirRows) {
  constexpr Key kKeys = 60;
  for (Key key = 0; key < kKeys; ++key) Insert(key, key);
  disk().after_find = [] { std::this_thread::yield(); };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 500 || (t == 0 && SharedReads() == 0); ++i) {
        std::vector<Key> keys(1 + random() % 30);
        for (Key& key : keys) key = random() % kKeys;
        const std::vector<float> rows = MustFind(keys);
        for (size_t k = 0; k < keys.size(); ++k) ASSERT_EQ(rows[k], keys[k]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(SharedReads(), 0);
}

}  // namespace
}  // namespace tf_hps
