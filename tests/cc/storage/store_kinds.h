#ifndef TF_HPS_TESTS_CC_STORAGE_STORE_KINDS_H_
#define TF_HPS_TESTS_CC_STORAGE_STORE_KINDS_H_

#include <filesystem>
#include <memory>
#include <numeric>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cc/storage/store_backend.h"
#include "nlohmann/json.hpp"
#include "tests/cc/storage/redis_servers.h"
#include "tests/cc/storage/rocksdb_fixture.h"

namespace tf_hps {

// One row for each kind of store: what its options are in a test that has `dir` to itself.
struct StoreKind {
  std::string name;  // of the row
  std::string kind;
  nlohmann::json (*options)(const std::string& dir);
  bool keeps_rows;       // when it is closed
  bool is_kept = false;  // whether the rows are said to be in a tier below too
  // Rows under an overlay that it hides: an estimated count has them, and what hides them.
  int64_t erased_below = 0;
};

inline const StoreBackend* FindBackend(const std::string& kind) {
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind == kind) return &backend;
  }
  return nullptr;
}

// What the tests of a store open.
inline TableSpec SpecOfTests(bool is_kept) {
  TableSpec spec;
  spec.deployment = "test";
  spec.name = "movie_id";
  spec.generation = "live-0";
  spec.embedding_dim = 4;
  spec.is_kept = is_kept;
  return spec;
}

constexpr int64_t kErasedBelow = 1000;

// Over rows of keys 0 to 999, all of them erased: an empty store that has something under it.
inline nlohmann::json OverlayOptions(const std::string& dir) {
  const StoreBackend& backend = *FindBackend("rocksdb");
  const std::string base = dir + "/base";
  const nlohmann::json options = {
      {"path", base}, {"read_only", true}, {"state_dir", dir + "/state"}};
  if (std::filesystem::exists(base)) return options;
  std::vector<Key> keys(kErasedBelow);
  std::iota(keys.begin(), keys.end(), 0);
  const std::vector<float> rows(keys.size() * 4, -1);
  (*backend.open(SpecOfTests(true), {{"path", base}}))
      ->Insert(keys, RowsView(reinterpret_cast<const uint8_t*>(rows.data()), 16), {})
      .IgnoreError();
  (*backend.open(SpecOfTests(true), options))->Erase(keys).IgnoreError();
  return options;
}

// The same in one store: a delta that has nothing of its base's.
inline nlohmann::json DeltaOptions(const std::string& dir) {
  const nlohmann::json options = {{"path", dir + "/store"}};
  if (std::filesystem::exists(dir + "/store")) return options;
  std::vector<std::pair<Key, std::string>> erased;
  for (int i = 0; i < kErasedBelow; ++i) erased.emplace_back(i, "");
  RawStore store(dir + "/store");
  store.LoadTable("movie_id", "base", 1, kErasedBelow);
  store.LoadDelta(SpecOfTests(true).generation, "base", 2, 0, erased);
  return options;
}

inline std::vector<StoreKind> StoreKinds() {
  return {
      {"memory", "memory", [](const std::string&) { return nlohmann::json::object(); }, false},
      {"redis", "redis", [](const std::string& dir) { return SharedRedis(dir).Options(); }, true},
      {"redis_above_a_store", "redis",
       [](const std::string& dir) { return SharedRedis(dir).Options(); }, false, true},
      {"redis_cluster", "redis",
       [](const std::string& dir) { return SharedRedisCluster(dir).Options(); }, true},
      {"rocksdb", "rocksdb",
       [](const std::string& dir) {
         return nlohmann::json{{"path", dir + "/store"}};
       },
       true},
      {"rocksdb_without_cache", "rocksdb",
       [](const std::string& dir) {
         return nlohmann::json{{"path", dir + "/store"}, {"block_cache_bytes", 0}};
       },
       true},
      {"rocksdb_overlay", "rocksdb", &OverlayOptions, true, false, kErasedBelow},
      {"rocksdb_delta", "rocksdb", &DeltaOptions, true, false, kErasedBelow},
  };
}

// The rows whose backend is in this program.
inline std::vector<StoreKind> LinkedStoreKinds() {
  std::vector<StoreKind> linked;
  for (const StoreKind& kind : StoreKinds()) {
    if (FindBackend(kind.kind) != nullptr) linked.push_back(kind);
  }
  return linked;
}

// A new table of 4 float32, or the one that `dir` keeps.
inline absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenStore(const StoreKind& kind,
                                                                 const std::string& dir) {
  const StoreBackend& backend = *FindBackend(kind.kind);
  nlohmann::json options = nlohmann::json::object();
  for (const ConfigField& field : backend.fields) options[field.name] = field.default_value;
  options.update(kind.options(dir));
  return backend.open(SpecOfTests(kind.is_kept), options);
}

inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_STORE_KINDS_H_
