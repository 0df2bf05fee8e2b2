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

 private:
  using Identity = std::tuple<std::string, std::string, std::string>;

  absl::StatusOr<std::shared_ptr<EmbeddingTable>> OpenRows(const DeploymentConfig& deployment,
                                                           const TableConfig& config);

  struct Entry {
    std::weak_ptr<EmbeddingTable> table;
    int64_t planned_bytes = 0;  // of memory, once it is filled
    std::vector<std::weak_ptr<TableHandle>> handles = {};
  };

  std::vector<std::shared_ptr<EmbeddingTable>> OpenTables();
  void Remember(const std::shared_ptr<TableHandle>& handle);
  // What open tables have yet to fill of the memory that was planned for them.
  int64_t PromisedBytes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::map<Identity, Entry> tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_REGISTRY_H_
