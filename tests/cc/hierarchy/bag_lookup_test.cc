#include "cc/hierarchy/bag_lookup.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "cc/hierarchy/embedding_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {
namespace {

using ::testing::HasSubstr;

constexpr int kBagDim = 3;
constexpr Key kBagKeys = 500;

// Rows [key, 2 * key, 1]: every second key in memory, all of them on the disk.
class BagLookupTest : public ::testing::Test {
 protected:
  BagLookupTest() {
    RegisterModelBackends();
    TableSpec spec;
    spec.deployment = "test";
    spec.name = "movie_id";
    spec.embedding_dim = kBagDim;
    TableConfig config;
    config.name = "movie_id";
    for (const char* kind : {"model_memory", "model_disk"}) {
      ModelStates()[kind] = std::make_shared<ModelState>();
      config.sections[kind] = {{"preload", false}};
    }
    auto table = EmbeddingTable::Open(spec, config);
    EXPECT_TRUE(table.ok()) << table.status();
    auto handle = TableHandle::Create(*table, config);
    EXPECT_TRUE(handle.ok()) << handle.status();
    handle_ = *handle;
    for (Key key = 0; key < kBagKeys; ++key) {
      const float elements[kBagDim] = {static_cast<float>(key), 2.0f * key, 1};
      std::vector<uint8_t> row(sizeof(elements));
      std::memcpy(row.data(), elements, sizeof(elements));
      if (key % 2 == 0) Put("model_memory", key, row);
      Put("model_disk", key, row);
    }
  }

  static void Put(const char* kind, Key key, const std::vector<uint8_t>& row) {
    ModelState& state = *ModelStates()[kind];
    MutexLock lock(&state.mutex);
    state.rows[key] = row;
  }

  // The sums of the bags, after the parts were asked in a random order.
  absl::Status Look(const std::vector<Key>& keys, const std::vector<int64_t>& splits,
                    std::vector<float>* sums, bool* was_done) {
    Bags bags;
    bags.splits = splits;
    sums->assign(bags.size() * kBagDim, -77.0f);
    BagLookup lookup(*handle_, keys, bags, ElementType::kFloat32,
                     reinterpret_cast<uint8_t*>(sums->data()), moment_);
    std::vector<size_t> order(lookup.parts());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (size_t part : order) {
      absl::Status status = lookup.FindInMemory(part);
      if (!status.ok()) return status;
    }
    *was_done = lookup.IsDone();
    return *was_done ? absl::OkStatus() : lookup.FindInStores();
  }

  void ExpectSums(const std::vector<Key>& keys, const std::vector<int64_t>& splits,
                  bool all_in_memory) {
    std::vector<float> sums;
    bool was_done = !all_in_memory;
    const absl::Status status = Look(keys, splits, &sums, &was_done);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(was_done, all_in_memory);
    for (size_t b = 0; b + 1 < splits.size(); ++b) {
      float sum[kBagDim] = {};
      for (int64_t i = splits[b]; i < splits[b + 1]; ++i) {
        if (keys[i] < 0 || keys[i] >= kBagKeys) continue;  // the default row: zeros
        sum[0] += static_cast<float>(keys[i]);
        sum[1] += 2.0f * static_cast<float>(keys[i]);
        sum[2] += 1;
      }
      for (int j = 0; j < kBagDim; ++j) EXPECT_EQ(sums[b * kBagDim + j], sum[j]) << "bag " << b;
    }
  }

  std::shared_ptr<TableHandle> handle_;
  CommitGate::Moment moment_;
};

// Empty bags, one over several blocks, many in a part, and several parts.
std::vector<int64_t> SomeSplits() {
  std::vector<int64_t> splits = {0, 0, 3, 3, 900, 2500, 2500};
  for (int b = 0; b < 300; ++b) splits.push_back(splits.back() + b % 10);
  return splits;
}

TEST_F(BagLookupTest, AnswersFromMemory) {
  const std::vector<int64_t> splits = SomeSplits();
  std::vector<Key> keys(splits.back());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = (i * 2) % kBagKeys;
  ExpectSums(keys, splits, /*all_in_memory=*/true);
}

TEST_F(BagLookupTest, ACommitThatIsShownCountsBeforeTheTiersHaveIt) {
  const std::vector<Key> changed = {3, 4, 1000, 4}, erased = {8, 9};
  const std::vector<float> rows = {300, 0, 0, 1, 1, 1, 7, 7, 7, 400, 0, 0};
  CommitOverlay overlay;
  overlay.Add(
      &handle_->table(),
      {changed, RowsView(reinterpret_cast<const uint8_t*>(rows.data()), kBagDim * sizeof(float)),
       erased});
  moment_.overlay = std::make_shared<const CommitOverlay>(std::move(overlay));
  bool was_done = false;
  std::vector<float> sums;
  // From memory alone, and with keys of the disk: 3 is there and not in memory, 1000 nowhere.
  for (const bool disk : {false, true}) {
    std::vector<Key> keys = {4, 8, 6};
    if (disk) keys = {4, 8, 6, 3, 9, 1000, 5};
    ASSERT_TRUE(Look(keys, {0, static_cast<int64_t>(keys.size())}, &sums, &was_done).ok());
    EXPECT_EQ(was_done, !disk);
    EXPECT_EQ(sums[0], disk ? 400 + 6 + 300 + 7 + 5 : 400 + 6);
  }
}

TEST_F(BagLookupTest, WhatMemoryDoesNotHaveComesFromTheStores) {
  const std::vector<int64_t> splits = SomeSplits();
  std::vector<Key> keys(splits.back(), 2);
  // One key alone, in the middle of a part.
  keys[2600] = 3;
  ExpectSums(keys, splits, /*all_in_memory=*/false);
  std::mt19937 random(3);
  for (Key& key : keys) key = static_cast<Key>(random() % (kBagKeys + 20)) - 10;
  ExpectSums(keys, splits, /*all_in_memory=*/false);
  // Everything was promoted, or marked as unknown.
  handle_->table().WaitForPromotions();
  ExpectSums(keys, splits, /*all_in_memory=*/true);
}

TEST_F(BagLookupTest, NoBagsAndNoIds) {
  ExpectSums({}, {0}, /*all_in_memory=*/true);
  ExpectSums({}, {0, 0, 0}, /*all_in_memory=*/true);
}

TEST_F(BagLookupTest, AStoreThatFailsFailsTheLookup) {
  {
    ModelState& disk = *ModelStates()["model_disk"];
    MutexLock lock(&disk.mutex);
    disk.find_status = absl::UnavailableError("the disk is gone");
  }
  std::vector<float> sums;
  bool was_done = true;
  const absl::Status status = Look({2, 3}, {0, 2}, &sums, &was_done);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the disk is gone"));
  ExpectSums({2, 4}, {0, 2}, /*all_in_memory=*/true);
}

}  // namespace
}  // namespace tf_hps
