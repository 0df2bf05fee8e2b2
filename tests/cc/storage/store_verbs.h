#ifndef TF_HPS_TESTS_CC_STORAGE_STORE_VERBS_H_
#define TF_HPS_TESTS_CC_STORAGE_STORE_VERBS_H_

#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

#include "cc/storage/embedding_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {

constexpr Key kMinKey = std::numeric_limits<Key>::min();
constexpr Key kMaxKey = std::numeric_limits<Key>::max();

using Row = std::array<float, 4>;

// {12, 12.25, 12.5, 12.75}: a row of which every element says whose it is.
inline Row RowOf(float first) { return {first, first + 0.25f, first + 0.5f, first + 0.75f}; }

inline RowsView ViewOf(const std::vector<Row>& rows) {
  return {reinterpret_cast<const uint8_t*>(rows.data()), sizeof(Row)};
}

inline absl::Status Insert(EmbeddingStore& store, const std::vector<Key>& keys,
                           const std::vector<Row>& rows, const InsertOptions& options = {}) {
  return store.Insert(keys, ViewOf(rows), options);
}

// Destination, default row and sink of one batch.
struct Batch {
  explicit Batch(std::vector<Key> batch_keys)
      : keys(std::move(batch_keys)), rows(keys.size(), kUntouched) {
    sink.destination = reinterpret_cast<uint8_t*>(rows.data());
    sink.stride = sizeof(Row);
    sink.out_bytes = sizeof(Row);
    sink.embedding_dim = 4;
    sink.default_row = reinterpret_cast<const uint8_t*>(kDefault.data());
  }

  static constexpr Row kUntouched = {-1, -2, -3, -4};
  static constexpr Row kDefault = {-5, -6, -7, -8};
  std::vector<Key> keys;
  std::vector<Row> rows;
  RowSink sink;
};

inline std::vector<uint32_t> Positions(const Pending& pending) {
  std::vector<uint32_t> positions;
  for (size_t i = 0; i < pending.size(); ++i) positions.push_back(pending[i]);
  return positions;
}

// The rows of those keys that are stored.
inline std::map<Key, Row> FindAll(const EmbeddingStore& store, const std::vector<Key>& keys) {
  Batch batch(keys);
  Pending pending = Pending::All(keys.size());
  const absl::Status status = store.Find(batch.keys, batch.sink, &pending);
  EXPECT_TRUE(status.ok()) << status;
  const std::vector<uint32_t> left = Positions(pending);
  std::map<Key, Row> found;
  for (uint32_t p = 0; p < keys.size(); ++p) {
    if (std::find(left.begin(), left.end(), p) != left.end()) continue;
    if (batch.rows[p] != Batch::kDefault) found[keys[p]] = batch.rows[p];
  }
  return found;
}

inline std::map<Key, Row> ScanAll(const EmbeddingStore& store, Key first = kMinKey,
                                  Key last = kMaxKey, size_t max_rows = 3,
                                  bool may_repeat = false) {
  std::map<Key, Row> seen;
  auto scanner = store.NewScanner(first, last);
  EXPECT_TRUE(scanner.ok()) << scanner.status();
  if (!scanner.ok()) return seen;
  RowBlock block;
  while (true) {
    const absl::Status status = (*scanner)->Next(max_rows, &block);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok() || block.size() == 0) return seen;
    EXPECT_LE(block.size(), max_rows);
    EXPECT_EQ(block.rows.size(), block.size() * sizeof(Row));
    for (size_t i = 0; i < block.size(); ++i) {
      Row row;
      std::memcpy(row.data(), block.rows.data() + i * sizeof(Row), sizeof(Row));
      const bool is_new = seen.emplace(block.keys[i], row).second;
      EXPECT_TRUE(is_new || may_repeat) << "twice: " << block.keys[i];
    }
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_STORE_VERBS_H_
