#include "cc/hierarchy/table_registry.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cc/common/cgroup.h"
#include "cc/common/table_spec.h"
#include "cc/hierarchy/followed_table.h"
#include "cc/hierarchy/memory_plan.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

std::string NewLiveGeneration() {
  std::random_device random;
  std::string generation = "live-";
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&generation, "%08x", random());
  return generation;
}

// What the table holds, as its persistent store knows it; what the config says must agree.
absl::StatusOr<TableSpec> Describe(const DeploymentConfig& deployment, const TableConfig& config) {
  TableSpec spec;
  bool is_new = true;
  bool is_kept = false;  // by a store that outlives the process
  for (const StoreBackend& backend : StoreBackends()) {
    const auto section = config.sections.find(backend.kind);
    if (section == config.sections.end() || backend.describe == nullptr) continue;
    is_kept = true;
    absl::StatusOr<TableSpec> described =
        backend.describe(config.name, config.generation, section->second);
    if (described.ok()) {
      spec = *std::move(described);
      is_new = false;
      break;
    }
    // A store that may be written can take a new table, once it is told how wide its rows are.
    const bool may_create = absl::IsNotFound(described.status()) && config.generation.empty() &&
                            config.embedding_dim > 0 && !section->second.value("read_only", false);
    if (!may_create) return described.status();
  }
  if (is_new) {
    if (config.embedding_dim <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("table \"", config.name, "\" of ",
                                                     deployment.path,
                                                     " is new: its `embedding_dim` must be given"));
    }
    absl::StatusOr<RowFormat> format =
        ParseRowFormat(config.row_format.empty() ? "float32" : config.row_format);
    if (!format.ok()) return format.status();
    spec.generation = is_kept ? NewLiveGeneration() : config.generation;
    spec.embedding_dim = config.embedding_dim;
    spec.row_format = *format;
  }
  spec.deployment = deployment.deployment;
  spec.name = config.name;
  spec.is_kept = is_kept;
  return spec;
}

absl::Status CheckAgrees(const TableSpec& spec, const TableConfig& config,
                         const std::string& path) {
  if (config.embedding_dim != 0 && config.embedding_dim != spec.embedding_dim) {
    return absl::InvalidArgumentError(absl::StrCat(spec.Described(), ": ", path,
                                                   " says embedding_dim ", config.embedding_dim,
                                                   ", its store has ", spec.embedding_dim));
  }
  if (!config.row_format.empty() && config.row_format != RowFormatName(spec.row_format)) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.Described(), ": ", path, " says row_format ", config.row_format,
                     ", its store has ", RowFormatName(spec.row_format)));
  }
  return absl::OkStatus();
}

}  // namespace

TableRegistry& TableRegistry::Get() {
  static auto* const registry = new TableRegistry;
  return *registry;
}

absl::StatusOr<std::shared_ptr<TableHandle>> TableRegistry::Open(const std::string& config_path,
                                                                 const std::string& name) {
  absl::StatusOr<DeploymentConfig> deployment = LoadConfig(config_path);
  if (!deployment.ok()) return deployment.status();
  const auto config = deployment->tables.find(name);
  if (config == deployment->tables.end()) {
    const auto append_name = [](std::string* out, const auto& table) { out->append(table.first); };
    return absl::NotFoundError(
        absl::StrCat("no table \"", name, "\" in ", config_path,
                     ", which knows: ", absl::StrJoin(deployment->tables, ", ", append_name)));
  }

  absl::StatusOr<std::shared_ptr<EmbeddingTable>> table = OpenRows(*deployment, config->second);
  if (!table.ok()) return table.status();
  auto followed = FollowedTable::Follow(*deployment, config->second, *table);
  if (!followed.ok()) return followed.status();
  auto handle = TableHandle::Create(*table, config->second, *std::move(followed));
  if (handle.ok()) Remember(*handle);
  return handle;
}

void TableRegistry::Remember(const std::shared_ptr<TableHandle>& handle) {
  const TableSpec& spec = handle->spec();
  MutexLock lock(&mutex_);
  const auto entry = tables_.find(Identity(spec.deployment, spec.name, spec.generation));
  if (entry == tables_.end()) return;
  auto& handles = entry->second.handles;
  handles.erase(std::remove_if(handles.begin(), handles.end(),
                               [](const auto& other) { return other.expired(); }),
                handles.end());
  handles.push_back(handle);
}

absl::StatusOr<std::shared_ptr<EmbeddingTable>> TableRegistry::OpenRows(
    const DeploymentConfig& deployment, const TableConfig& config) {
  // One open at a time: two SavedModels that load the same table at once must get the same one.
  MutexLock lock(&mutex_);
  absl::StatusOr<TableSpec> spec = Describe(deployment, config);
  if (!spec.ok()) return spec.status();
  absl::Status agrees = CheckAgrees(*spec, config, deployment.path);
  if (!agrees.ok()) return agrees;

  const Identity identity(spec->deployment, spec->name, spec->generation);
  const auto known = tables_.find(identity);
  std::shared_ptr<EmbeddingTable> table =
      known == tables_.end() ? nullptr : known->second.table.lock();
  if (table != nullptr) {
    if (spec->embedding_dim == table->spec().embedding_dim &&
        spec->row_format == table->spec().row_format) {
      return table;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(spec->Described(), " of deployment \"", spec->deployment,
                     "\" is open in this process with embedding_dim ", table->spec().embedding_dim,
                     ", ", RowFormatName(table->spec().row_format), "; ", deployment.path,
                     " asks for ", spec->embedding_dim, ", ", RowFormatName(spec->row_format),
                     ". Give one of them another deployment or name"));
  }
  // A server that loads a new generation every hour must not collect the names of the old ones.
  for (auto entry = tables_.begin(); entry != tables_.end();) {
    entry = entry->second.table.expired() ? tables_.erase(entry) : std::next(entry);
  }
  TableConfig fitted = config;
  const absl::StatusOr<int64_t> planned =
      PlanMemory(*spec, CurrentResourceLimits(), PromisedBytes(), &fitted);
  if (!planned.ok()) return planned.status();
  absl::StatusOr<std::shared_ptr<EmbeddingTable>> opened = EmbeddingTable::Open(*spec, fitted);
  if (opened.ok()) tables_[identity] = {*opened, *planned};
  return opened;
}

int64_t TableRegistry::PromisedBytes() {
  int64_t promised = 0;
  for (const auto& [identity, entry] : tables_) {
    const std::shared_ptr<EmbeddingTable> table = entry.table.lock();
    if (table != nullptr) {
      promised += std::max<int64_t>(0, entry.planned_bytes - table->MemoryBytes());
    }
  }
  return promised;
}

std::vector<std::shared_ptr<EmbeddingTable>> TableRegistry::OpenTables() {
  std::vector<std::shared_ptr<EmbeddingTable>> open;
  MutexLock lock(&mutex_);
  for (const auto& [identity, held] : tables_) {
    if (auto table = held.table.lock()) open.push_back(std::move(table));
  }
  return open;
}

std::vector<nlohmann::json> TableRegistry::Stats() {
  // Asked outside of the lock, and let go of there.
  std::vector<std::pair<std::shared_ptr<EmbeddingTable>, std::shared_ptr<TableHandle>>> open;
  {
    MutexLock lock(&mutex_);
    for (const auto& [identity, entry] : tables_) {
      auto table = entry.table.lock();
      if (table == nullptr) continue;
      std::shared_ptr<TableHandle> handle;
      for (size_t i = 0; i < entry.handles.size() && handle == nullptr; ++i) {
        handle = entry.handles[i].lock();
      }
      open.emplace_back(std::move(table), std::move(handle));
    }
  }
  std::vector<nlohmann::json> stats;
  for (const auto& [table, handle] : open) {
    stats.push_back(handle != nullptr ? handle->Stats() : table->Stats());
  }
  return stats;
}

bool TableRegistry::AnyTableWaits() {
  // Let go of outside the lock: the last one to hold a table closes its stores.
  const std::vector<std::shared_ptr<EmbeddingTable>> open = OpenTables();
  return std::any_of(open.begin(), open.end(), [](const std::shared_ptr<EmbeddingTable>& table) {
    return table->WaitsForStores();
  });
}

}  // namespace tf_hps
