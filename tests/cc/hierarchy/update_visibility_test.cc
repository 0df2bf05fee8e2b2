// What lookups see while updates, promotions, evictions and a preload go on: for each key only rows
// that were published, whole, and never an older one after a newer one.

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cc/hierarchy/table_handle.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {
namespace {

constexpr int kVisibleDim = 16;
constexpr int kVisibleKeys = 400;

struct VisibleTiers {
  std::string name;
  bool real;              // memory and rocksdb; else the model stores
  int64_t capacity_rows;  // of the memory tier; 0: no bound
  bool preload;
};

class UpdateVisibilityTest : public ::testing::TestWithParam<VisibleTiers> {
 protected:
  void SetUp() override {
    const VisibleTiers& tiers = GetParam();
    TableSpec spec;
    spec.deployment = "test";
    spec.name = "movie_id";
    spec.generation = "live-00";
    spec.embedding_dim = kVisibleDim;
    TableConfig config;
    config.name = spec.name;
    if (tiers.real) {
      path_ = std::filesystem::temp_directory_path() /
              ("tf_hps_visibility_" + std::to_string(getpid()) + tiers.name);
      std::filesystem::remove_all(path_);
      for (const StoreBackend& backend : StoreBackends()) {
        if (backend.kind != "memory" && backend.kind != "rocksdb") continue;
        nlohmann::json options;
        for (const ConfigField& field : backend.fields) options[field.name] = field.default_value;
        if (backend.kind == "memory") {
          options["preload"] = tiers.preload;
          if (tiers.capacity_rows != 0) options["capacity_rows"] = tiers.capacity_rows;
        } else {
          options["path"] = path_.string();
        }
        config.sections[backend.kind] = options;
      }
      ASSERT_EQ(config.sections.size(), 2u) << "memory and rocksdb are linked";
    } else {
      RegisterModelBackends();
      for (const char* kind : {"model_memory", "model_disk"}) {
        ModelStates()[kind] = std::make_shared<ModelState>();
        config.sections[kind] = {{"preload", tiers.preload}};
      }
      ModelStates()["model_memory"]->capacity_rows = tiers.capacity_rows;
    }
    auto table = EmbeddingTable::Open(spec, config);
    ASSERT_TRUE(table.ok()) << table.status();
    table_ = *table;
    auto handle = TableHandle::Create(table_, config);
    ASSERT_TRUE(handle.ok()) << handle.status();
    handle_ = *handle;
  }

  void TearDown() override {
    handle_.reset();
    table_.reset();
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }

  // All elements of a row are its version; absent reads as the default row, version 0.
  void Publish(const std::vector<Key>& keys, float version) {
    const std::vector<float> rows(keys.size() * kVisibleDim, version);
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()), kVisibleDim * sizeof(float));
    const absl::Status status = table_->Apply({keys, view, {}});
    ASSERT_TRUE(status.ok()) << status;
  }

  std::filesystem::path path_;
  std::shared_ptr<EmbeddingTable> table_;
  std::shared_ptr<TableHandle> handle_;
};

TEST_P(UpdateVisibilityTest, RowsAreWholeAndNeverGoBack) {
  const char* rounds_text = std::getenv("TF_HPS_TEST_VISIBILITY_ROUNDS");
  const int rounds = rounds_text == nullptr ? 300 : std::atoi(rounds_text);
  std::vector<std::atomic<int>> published(
      kVisibleKeys);  // the newest version whose Apply has begun
  std::atomic<bool> stop{false};
  std::atomic<int64_t> rows_read{0};

  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      std::mt19937 random(r);
      std::vector<int> newest(kVisibleKeys, 0);
      std::vector<Key> keys(64);
      std::vector<float> rows(keys.size() * kVisibleDim);
      while (!stop) {
        for (Key& key : keys) key = random() % kVisibleKeys;
        const RowSink sink = handle_->SinkFor(ElementType::kFloat32, rows.data());
        const absl::Status status = table_->Find(keys, sink);
        ASSERT_TRUE(status.ok()) << status;
        for (size_t i = 0; i < keys.size(); ++i) {
          const float version = rows[i * kVisibleDim];
          for (int e = 1; e < kVisibleDim; ++e)
            ASSERT_EQ(rows[i * kVisibleDim + e], version) << "torn row";
          // A key may stand twice in a batch, and its two rows come from different moments, but the
          // later position is not read before the earlier one by more than that one lookup.
          if (i != 0 && std::find(keys.begin(), keys.begin() + i, keys[i]) != keys.begin() + i) {
            continue;
          }
          ASSERT_LE(version, published[keys[i]].load()) << "never published, key " << keys[i];
          ASSERT_GE(version, newest[keys[i]]) << "older after newer, key " << keys[i];
          newest[keys[i]] = static_cast<int>(version);
        }
        rows_read += keys.size();
      }
    });
  }

  std::mt19937 random(99);
  std::vector<Key> keys;
  for (int round = 1; round <= rounds; ++round) {
    keys.clear();
    const int n = 1 + random() % 40;
    for (int i = 0; i < n; ++i) keys.push_back(random() % kVisibleKeys);
    for (Key key : keys) published[key] = round;
    Publish(keys, static_cast<float>(round));
    if (round % 16 == 0) std::this_thread::yield();
  }
  while (rows_read < 20000) std::this_thread::yield();
  stop = true;
  for (std::thread& reader : readers) reader.join();

  // What stands at the end is the last version of every key.
  std::vector<float> rows(kVisibleDim);
  for (Key key = 0; key < kVisibleKeys; ++key) {
    ASSERT_TRUE(table_->Find({&key, 1}, handle_->SinkFor(ElementType::kFloat32, rows.data())).ok());
    EXPECT_EQ(rows[0], published[key].load()) << "key " << key;
  }
}

INSTANTIATE_TEST_SUITE_P(VisibleTiers, UpdateVisibilityTest,
                         ::testing::Values(VisibleTiers{"model_unbounded", false, 0, false},
                                           VisibleTiers{"model_evicting", false, 50, false},
                                           VisibleTiers{"model_preloaded", false, 0, true},
                                           VisibleTiers{"unbounded", true, 0, false},
                                           VisibleTiers{"evicting", true, 50, false},
                                           VisibleTiers{"preloaded", true, 0, true}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tf_hps
