#ifndef TF_HPS_TESTS_CC_STORAGE_MEMORY_STORE_VERBS_H_
#define TF_HPS_TESTS_CC_STORAGE_MEMORY_STORE_VERBS_H_

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "cc/storage/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {

inline std::vector<CpuIsa> CpuIsas() {
  std::vector<CpuIsa> isas;
  for (CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512}) {
    if (isa <= BestCpuIsa()) isas.push_back(isa);
  }
  return isas;
}

inline std::string CpuIsaTestName(const ::testing::TestParamInfo<CpuIsa>& info) {
  return CpuIsaName(info.param);
}

// A store of rows of 64-bit words, each row full of one value: a torn row shows.
class WordStore {
 public:
  explicit WordStore(const MemoryStoreOptions& options, int64_t words = 2, int64_t known_rows = 0)
      : words_(words) {
    TableSpec spec;
    spec.name = "words";
    spec.embedding_dim = 2 * words;
    spec.rows = known_rows;
    auto store = OpenMemoryStore(spec, options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  EmbeddingStore& store() const { return *store_; }

  absl::Status Insert(const std::vector<Key>& keys, const std::vector<uint64_t>& values,
                      const InsertOptions& options = {}) const {
    std::vector<uint64_t> rows;
    for (uint64_t value : values) rows.insert(rows.end(), words_, value);
    return store_->Insert(
        keys, RowsView(reinterpret_cast<const uint8_t*>(rows.data()), words_ * sizeof(uint64_t)),
        options);
  }
  // Every key's value is the key itself.
  void InsertKeys(const std::vector<Key>& keys) const {
    const absl::Status status = Insert(keys, std::vector<uint64_t>(keys.begin(), keys.end()));
    EXPECT_TRUE(status.ok()) << status;
  }

  static constexpr uint64_t kNotFound = 0xbadbadbad;
  static constexpr uint64_t kDefault = 0xdefa017;
  static constexpr uint64_t kTorn = 0x70127012;

  std::vector<uint64_t> Find(const std::vector<Key>& keys, size_t* absent = nullptr) const {
    std::vector<uint64_t> rows(keys.size() * words_, 0);
    const std::vector<uint64_t> default_row(words_, kDefault);
    RowSink sink;
    sink.destination = reinterpret_cast<uint8_t*>(rows.data());
    sink.stride = sink.out_bytes = words_ * sizeof(uint64_t);
    sink.default_row = reinterpret_cast<const uint8_t*>(default_row.data());
    Pending pending = Pending::All(keys.size());
    const absl::Status status = store_->Find(keys, sink, &pending);
    EXPECT_TRUE(status.ok()) << status;
    if (absent != nullptr) *absent = pending.absent();
    std::vector<uint64_t> values;
    size_t left = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (left < pending.size() && pending[left] == i) {
        ++left;
        values.push_back(kNotFound);
        continue;
      }
      uint64_t value = rows[i * words_];
      for (int64_t w = 1; w < words_; ++w) {
        if (rows[i * words_ + w] != value) value = kTorn;
      }
      values.push_back(value);
    }
    EXPECT_EQ(left, pending.size()) << "pending positions are ascending and of the batch";
    return values;
  }
  bool Has(Key key) const { return Find({key})[0] != kNotFound; }
  int64_t CountOf(const std::vector<Key>& keys) const {
    int64_t found = 0;
    for (uint64_t value : Find(keys)) found += value != kNotFound ? 1 : 0;
    return found;
  }

  std::vector<Key> ScanKeys(RowScanner* scanner) const {
    std::vector<Key> keys;
    for (RowBlock block;;) {
      const absl::Status status = scanner->Next(7, &block);
      EXPECT_TRUE(status.ok()) << status;
      if (!status.ok() || block.size() == 0) return keys;
      for (size_t i = 0; i < block.size(); ++i) {
        keys.push_back(block.keys[i]);
        Key value;
        std::memcpy(&value, &block.rows[i * words_ * sizeof(uint64_t)], sizeof(value));
        EXPECT_EQ(value, block.keys[i]);
      }
    }
  }

 private:
  const int64_t words_;
  std::unique_ptr<EmbeddingStore> store_;
};

inline std::vector<Key> KeysFrom(Key first, int64_t n) {
  std::vector<Key> keys(static_cast<size_t>(n));
  std::iota(keys.begin(), keys.end(), first);
  return keys;
}

// A row's value carries its key and a version: whose row it is shows, and whether it is whole.
inline uint64_t ValueOf(Key key, uint64_t version) {
  return static_cast<uint64_t>(key) << 32 | version;
}

// Runs the work of each thread until it has been done `rounds` times by the first.
inline void RunTogether(int rounds, const std::vector<std::function<void(int round)>>& works) {
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < works.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; t == 0 ? round < rounds : !over; ++round) works[t](round);
      if (t == 0) over = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
}

inline void ExpectWhole(const std::vector<Key>& keys, const std::vector<uint64_t>& values,
                        bool may_miss) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (values[i] == WordStore::kNotFound || values[i] == WordStore::kDefault) {
      ASSERT_TRUE(may_miss) << "key " << keys[i] << " was there all the time";
    } else {
      ASSERT_EQ(values[i] >> 32, static_cast<uint64_t>(keys[i])) << "torn, or another key's row";
    }
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_MEMORY_STORE_VERBS_H_
