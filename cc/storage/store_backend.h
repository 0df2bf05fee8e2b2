#ifndef TF_HPS_CC_STORAGE_STORE_BACKEND_H_
#define TF_HPS_CC_STORAGE_STORE_BACKEND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/common/table_spec.h"
#include "cc/storage/embedding_store.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// Tiers are asked in this order.
enum class StoreRank { kProcessMemory = 0, kSharedMemory = 1, kPersistent = 2 };

// One kind of store. A backend is a .cc with everything in an anonymous namespace that ends in
//   const bool registered = RegisterStoreBackend({...});
// which also registers its config section (same name as the kind).
struct StoreBackend {
  std::string kind;
  StoreRank rank;
  std::vector<ConfigField> fields;

  // Opens one table's store. `options` holds every field (see TableConfig::sections).
  absl::StatusOr<std::unique_ptr<EmbeddingStore>> (*open)(const TableSpec& spec,
                                                          const nlohmann::json& options);

  // Persistent backends: what the store knows about table `name` (generation empty: the newest),
  // its spec without `deployment`. Null for stores that remember nothing between processes.
  // NotFound lists the tables that are there. A store that may be written creates nothing here.
  absl::StatusOr<TableSpec> (*describe)(const std::string& name, const std::string& generation,
                                        const nlohmann::json& options) = nullptr;

  // Backends that keep rows in this process: bytes that the table takes there once it is filled,
  // as far as its rows are known. Null for the others.
  absl::StatusOr<int64_t> (*memory_bytes)(const TableSpec& spec,
                                          const nlohmann::json& options) = nullptr;
};

bool RegisterStoreBackend(StoreBackend backend);
// Sorted by rank, then kind.
const std::vector<StoreBackend>& StoreBackends();

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STORE_BACKEND_H_
