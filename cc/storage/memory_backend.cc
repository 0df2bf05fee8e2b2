#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/storage/key_index.h"
#include "cc/storage/memory_store.h"
#include "cc/storage/row_slab.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

// The option, or 0 where it is not set.
absl::StatusOr<int64_t> Capacity(const TableSpec& spec, const nlohmann::json& options,
                                 const std::string& name) {
  const auto option = options.find(name);
  if (option == options.end() || option->is_null()) return 0;
  if (!option->is_number_integer() || option->get<int64_t>() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        spec.Described(), ": `memory.", name,
        "` is a positive integer, or left out for no bound. Received: ", option->dump()));
  }
  return option->get<int64_t>();
}

double BytesPerRow(const TableSpec& spec, const MemoryStoreOptions& store) {
  return static_cast<double>(RowSlab::StrideFor(spec.row_bytes())) +
         KeyIndex::BytesPerRow(/*with_counters=*/true) +
         EvictionPolicy::BytesPerRow(store.eviction);
}

absl::StatusOr<MemoryStoreOptions> Options(const TableSpec& spec, const nlohmann::json& options) {
  const absl::StatusOr<int64_t> rows = Capacity(spec, options, "capacity_rows");
  if (!rows.ok()) return rows.status();
  const absl::StatusOr<int64_t> bytes = Capacity(spec, options, "capacity_bytes");
  if (!bytes.ok()) return bytes.status();

  MemoryStoreOptions store;
  store.capacity_rows = *rows;
  if (options.value("eviction", "lfu") == "lru") store.eviction = EvictionPolicy::Kind::kLru;
  if (*bytes > 0) {
    const int64_t fit = std::max<int64_t>(
        1, static_cast<int64_t>(static_cast<double>(*bytes) / BytesPerRow(spec, store)));
    store.capacity_rows = *rows > 0 ? std::min(*rows, fit) : fit;
  }
  return store;
}

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenMemory(const TableSpec& spec,
                                                           const nlohmann::json& options) {
  const absl::StatusOr<MemoryStoreOptions> store = Options(spec, options);
  return store.ok() ? OpenMemoryStore(spec, *store) : store.status();
}

absl::StatusOr<int64_t> MemoryBytes(const TableSpec& spec, const nlohmann::json& options) {
  const absl::StatusOr<MemoryStoreOptions> store = Options(spec, options);
  if (!store.ok()) return store.status();
  const int64_t rows =
      store->capacity_rows > 0 ? std::min(store->capacity_rows, spec.rows) : spec.rows;
  return static_cast<int64_t>(static_cast<double>(rows) * BytesPerRow(spec, *store));
}

const bool memory_is_registered = RegisterStoreBackend(
    {"memory",
     StoreRank::kProcessMemory,
     {{"capacity_rows", FieldType::kInt, nullptr, "rows kept at most; none: no bound", {}, 1},
      {"capacity_bytes",
       FieldType::kInt,
       nullptr,
       "bytes that rows and index take at most; none: no bound; with both the smaller counts",
       {},
       1},
      {"eviction",
       FieldType::kString,
       "lfu",
       "who leaves a full store: the least frequently or the least recently used row",
       {"lfu", "lru"}},
      {"preload", FieldType::kBool, true, "fill it from the persistent store when it is opened"},
      {"hot_keys_path", FieldType::kPath, nullptr,
       "folder of the hot keys, whose rows are in memory before a table has opened"},
      {"save_hot_keys_s", FieldType::kInt, 0,
       "seconds between two writings of the hot keys into that folder; 0: never"}},
     &OpenMemory,
     /*describe=*/nullptr,
     &MemoryBytes});

}  // namespace
}  // namespace tf_hps
