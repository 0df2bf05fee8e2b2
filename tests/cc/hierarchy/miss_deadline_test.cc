// Lookups that wait for the stores so long and no longer.

#include "cc/hierarchy/miss_deadline.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "cc/hierarchy/bag_lookup.h"
#include "cc/hierarchy/table_handle.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Holds whoever comes until it is opened.
class Gate {
 public:
  void Pass() {
    MutexLock lock(&mutex_);
    while (!is_open_) opened_.Wait(&mutex_);
  }
  void Open() {
    MutexLock lock(&mutex_);
    is_open_ = true;
    opened_.NotifyAll();
  }
  void Close() {
    MutexLock lock(&mutex_);
    is_open_ = false;
  }

 private:
  Mutex mutex_;
  CondVar opened_;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = true;
};

// Memory above a disk that a test can hold. The default row is -1.
class MissDeadlineTest : public ::testing::Test {
 protected:
  MissDeadlineTest() {
    RegisterModelBackends();
    for (const char* kind : {"model_memory", "model_disk"}) {
      ModelStates()[kind] = std::make_shared<ModelState>();
    }
    disk().before_find = [this] { gate_.Pass(); };
    TableSpec spec;
    spec.deployment = "test";
    spec.name = "movie_id";
    spec.embedding_dim = 1;
    config_.name = spec.name;
    config_.default_row = {-1.0};
    config_.sections["model_memory"] = config_.sections["model_disk"] = {{"preload", false}};
    table_ = *EmbeddingTable::Open(spec, config_);
    config_.miss_deadline_us = 20'000;
    handle_ = *TableHandle::Create(table_, config_);
    for (Key key = 1; key <= 9; ++key) {
      const auto element = static_cast<float>(key);
      const std::vector<uint8_t> row = {reinterpret_cast<const uint8_t*>(&element),
                                        reinterpret_cast<const uint8_t*>(&element) + 4};
      MutexLock lock(&disk().mutex);
      disk().rows[key] = row;
    }
  }
  ~MissDeadlineTest() override { gate_.Open(); }

  ModelState& disk() { return *ModelStates()["model_disk"]; }

  struct Found {
    absl::Status status;
    std::vector<float> rows;
    std::vector<uint32_t> degraded;
    steady_clock::duration time;
  };
  Found Find(const std::vector<Key>& keys) {
    Found found;
    found.rows.assign(keys.size(), -77);
    const RowSink sink = handle_->SinkFor(ElementType::kFloat32, found.rows.data());
    Pending pending = Pending::All(keys.size());
    const auto begin = steady_clock::now();
    std::optional<MissDeadline> deadline = handle_->NewMissDeadline();
    found.status = table_->FindInMemory(keys, sink, &pending);
    if (found.status.ok()) found.status = table_->FindInStores(keys, sink, &pending, &*deadline);
    found.time = steady_clock::now() - begin;
    found.degraded = deadline->degraded;
    return found;
  }
  int64_t Degraded() const { return table_->Stats()["degraded_rows"]; }
  void WaitUntilInMemory(Key key) {
    ModelState& memory = *ModelStates()["model_memory"];
    while (true) {
      {
        MutexLock lock(&memory.mutex);
        if (memory.rows.count(key) != 0) return;
      }
      std::this_thread::yield();
    }
  }

  TableConfig config_;
  Gate gate_;
  std::shared_ptr<EmbeddingTable> table_;
  std::shared_ptr<TableHandle> handle_;
};

TEST_F(MissDeadlineTest, WhatIsThereInTimeIsFound) {
  config_.miss_deadline_us = 60'000'000;
  handle_ = *TableHandle::Create(table_, config_);
  const Found found = Find({3, 100, 1, 3});
  ASSERT_TRUE(found.status.ok()) << found.status;
  EXPECT_THAT(found.rows, ElementsAre(3, -1, 1, 3));
  EXPECT_THAT(found.degraded, IsEmpty()) << "an unknown key is no late one";
  EXPECT_EQ(Degraded(), 0);
}

TEST_F(MissDeadlineTest, LateRowsAreDefaultRowsNowAndThereTheNextTime) {
  Find({5});
  WaitUntilInMemory(5);
  gate_.Close();
  const Found late = Find({1, 5, 100, 1, 2});
  ASSERT_TRUE(late.status.ok()) << late.status;
  EXPECT_THAT(late.rows, ElementsAre(-1, 5, -1, -1, -1));
  EXPECT_THAT(late.degraded, ElementsAre(0, 2, 3, 4));
  EXPECT_GE(late.time, milliseconds(20));
  EXPECT_EQ(Degraded(), 4);

  gate_.Open();
  WaitUntilInMemory(2);
  const Found found = Find({1, 5, 2});
  EXPECT_THAT(found.rows, ElementsAre(1, 5, 2));
  EXPECT_THAT(found.degraded, IsEmpty());
}

TEST_F(MissDeadlineTest, ALateReadIsTakenOverByTheNextLookup) {
  gate_.Close();
  EXPECT_THAT(Find({1, 2}).degraded, ElementsAre(0, 1));
  EXPECT_THAT(Find({2, 1}).degraded, ElementsAre(0, 1));
  gate_.Open();
  WaitUntilInMemory(1);
  MutexLock lock(&disk().mutex);
  EXPECT_THAT(disk().asked, ElementsAre(ElementsAre(1, 2)));
}

TEST_F(MissDeadlineTest, AnUpdateWhileAReadIsLateIsNotUndone) {
  gate_.Close();
  EXPECT_THAT(Find({1}).rows, ElementsAre(-1));
  const float element = 11;
  const Key key = 1;
  const RowsView row(reinterpret_cast<const uint8_t*>(&element), sizeof(element));
  ASSERT_TRUE(table_->Apply({{&key, 1}, row, {}}).ok());
  gate_.Open();
  table_->WaitForPromotions();
  EXPECT_THAT(Find({1}).rows, ElementsAre(11));
}

TEST_F(MissDeadlineTest, AStoreThatHangsDegradesLookupsAtOnceAndTheTableWaitsForItAtItsEnd) {
  gate_.Close();
  int late = 0;
  for (Key key = 1000; key < 1200; ++key) {
    const Found found = Find({key});
    ASSERT_TRUE(found.status.ok()) << found.status;
    EXPECT_THAT(found.rows, ElementsAre(-1));
    late += found.time >= milliseconds(20);
  }
  EXPECT_GE(late, 4);
  EXPECT_LE(late, 130) << "as many as read at once, at most 64; a busy machine makes some late";
  EXPECT_EQ(Degraded(), 200);
  std::thread opener([this] {
    std::this_thread::sleep_for(milliseconds(20));
    gate_.Open();
  });
  handle_.reset();
  table_.reset();
  opener.join();
}

TEST_F(MissDeadlineTest, AnErrorInTimeIsTheLookups) {
  disk().find_status = absl::DataLossError("bad block");
  config_.miss_deadline_us = 60'000'000;
  handle_ = *TableHandle::Create(table_, config_);
  const Found found = Find({1});
  EXPECT_EQ(found.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(found.status.message()), ::testing::HasSubstr("bad block"));
}

TEST_F(MissDeadlineTest, BagsCombineDefaultRowsForWhatIsLate) {
  gate_.Close();
  const std::vector<Key> keys = {1, 2, 3};
  const std::vector<int64_t> splits = {0, 2, 3};
  Bags bags;
  bags.splits = splits;
  bags.combiner = Combiner::kSum;
  std::vector<float> sums(2, -77);
  BagLookup lookup(*handle_, keys, bags, ElementType::kFloat32,
                   reinterpret_cast<uint8_t*>(sums.data()));
  for (size_t part = 0; part < lookup.parts(); ++part) {
    ASSERT_TRUE(lookup.FindInMemory(part).ok());
  }
  ASSERT_FALSE(lookup.IsDone());
  ASSERT_TRUE(lookup.FindInStores().ok());
  EXPECT_THAT(sums, ElementsAre(-2, -1));
  EXPECT_EQ(Degraded(), 3);
}

}  // namespace
}  // namespace tf_hps
