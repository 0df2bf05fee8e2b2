#ifndef TF_HPS_CC_HIERARCHY_TABLE_REGISTRY_H_
#define TF_HPS_CC_HIERARCHY_TABLE_REGISTRY_H_

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/closed_generations.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/table_handle.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// The tables of this process, by identity (deployment, name, generation). A table lives as long as
// somebody holds it; the next SavedModel version with an equal generation attaches to the warm one.
class TableRegistry {
 public:
  static TableRegistry& Get();  // never destroyed: lookups may outlive main()

  // Table `name` of the deployment that `config_path` (an hps.json) describes, opened or attached
  // to. NotFound lists the tables the config knows. An open table of equal identity but another
  // embedding_dim or row_format is InvalidArgument.
  absl::StatusOr<std::shared_ptr<TableHandle>> Open(const std::string& config_path,
                                                    const std::string& name);

  // Of those that somebody holds, in the order of their identities: TableHandle::Stats.
  std::vector<nlohmann::json> Stats();

  // Whether any open table does (EmbeddingTable::WaitsForStores).
  bool AnyTableWaits();

  ClosedGenerations& closed() { return closed_; }

 private:
  using Identity = std::tuple<std::string, std::string, std::string>;

  TableRegistry();

  absl::StatusOr<std::shared_ptr<EmbeddingTable>> OpenRows(const DeploymentConfig& deployment,
                                                           const TableConfig& config);

  struct Entry {
    std::weak_ptr<EmbeddingTable> table;
    int64_t planned_bytes = 0;  // of memory, once it is filled
    std::vector<std::weak_ptr<TableHandle>> handles = {};
  };

  std::vector<std::shared_ptr<EmbeddingTable>> OpenTables();
  std::shared_ptr<EmbeddingTable> FindOpen(const Identity& identity);
  std::vector<std::shared_ptr<EmbeddingTable>> GenerationsOf(const ClosedGenerations::Name& name);
  // Those with a bound on their tier in memory.
  std::vector<std::shared_ptr<EmbeddingTable>> SharingGenerations(
      const ClosedGenerations::Name& name);
  void ShareMemoryOf(const ClosedGenerations::Name& name);
  // Drops what this server keeps of generations of the table that are not open; false where none
  // is.
  bool DropClosed(const ClosedGenerations::Name& name, const TableConfig& config);
  absl::StatusOr<std::shared_ptr<EmbeddingTable>> OpenNew(const TableSpec& spec,
                                                          const TableConfig& config)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(open_mutex_);
  void Remember(const std::shared_ptr<TableHandle>& handle);
  // What open tables have yet to fill of the memory that was planned for them.
  int64_t PromisedBytes();

  // One open at a time: two SavedModels that load the same table at once must get the same one.
  // Held while rows are read, so nobody else waits for it.
  Mutex open_mutex_;
  Mutex mutex_;
  std::map<Identity, Entry> tables_ ABSL_GUARDED_BY(mutex_);
  ClosedGenerations closed_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_REGISTRY_H_
