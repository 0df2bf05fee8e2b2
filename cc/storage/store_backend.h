#ifndef TF_HPS_CC_STORAGE_STORE_BACKEND_H_
#define TF_HPS_CC_STORAGE_STORE_BACKEND_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/common/table_spec.h"
#include "cc/storage/embedding_store.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// A store on this machine: the options that open it there, and what keeps it until that is done.
struct LocalStore {
  nlohmann::json options;
  std::shared_ptr<const void> held;
};

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

  // Backends that keep something of a server's own of tables whose rows are elsewhere: drops what
  // it has of generations of table `name` other than `kept`. None of them is open, nor is opened
  // meanwhile. Null for the others.
  absl::Status (*drop_others)(const std::string& name, const std::set<std::string>& kept,
                              const nlohmann::json& options) = nullptr;

  // Backends whose options may name a store elsewhere: brings it to this machine, which may take
  // minutes, before `describe` and `open` are asked. Null for the others.
  absl::StatusOr<LocalStore> (*fetch)(const std::string& deployment,
                                      const nlohmann::json& options) = nullptr;
};

bool RegisterStoreBackend(StoreBackend backend);
// Sorted by rank, then kind.
const std::vector<StoreBackend>& StoreBackends();

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STORE_BACKEND_H_
