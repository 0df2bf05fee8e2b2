#include "cc/hierarchy/table_registry.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cc/common/cgroup.h"
#include "cc/common/table_spec.h"
#include "cc/hierarchy/followed_table.h"
#include "cc/hierarchy/memory_plan.h"
#include "cc/hierarchy/memory_share.h"
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

// Brings the stores that `config` names elsewhere to this machine, and says where they are then.
absl::Status FetchStores(const DeploymentConfig& deployment, TableConfig* config,
                         std::vector<std::shared_ptr<const void>>* held) {
  for (const StoreBackend& backend : StoreBackends()) {
    const auto section = config->sections.find(backend.kind);
    if (section == config->sections.end() || backend.fetch == nullptr) continue;
    absl::StatusOr<LocalStore> local = backend.fetch(deployment.deployment, section->second);
    if (!local.ok()) return local.status();
    section->second = std::move(local->options);
    held->push_back(std::move(local->held));
  }
  return absl::OkStatus();
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

TableRegistry::TableRegistry()
    : closed_([this](const ClosedGenerations::Name& name) { ShareMemoryOf(name); },
              [this](const ClosedGenerations::Name& name, const TableConfig& config) {
                return DropClosed(name, config);
              }) {}

TableRegistry& TableRegistry::Get() {
  static auto* const registry = new TableRegistry;
  return *registry;
}

absl::StatusOr<std::shared_ptr<TableHandle>> TableRegistry::Open(const std::string& config_path,
                                                                 const std::string& name) {
  absl::StatusOr<DeploymentConfig> deployment = LoadConfig(config_path);
  if (!deployment.ok()) return deployment.status();
  const auto known = deployment->tables.find(name);
  if (known == deployment->tables.end()) {
    const auto append_name = [](std::string* out, const auto& table) { out->append(table.first); };
    return absl::NotFoundError(
        absl::StrCat("no table \"", name, "\" in ", config_path,
                     ", which knows: ", absl::StrJoin(deployment->tables, ", ", append_name)));
  }

  // Before the registry's lock, which statistics take too: it may take minutes.
  TableConfig config = known->second;
  std::vector<std::shared_ptr<const void>> held;
  if (absl::Status status = FetchStores(*deployment, &config, &held); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<EmbeddingTable>> table = OpenRows(*deployment, config);
  if (!table.ok()) return table.status();
  auto followed = FollowedTable::Follow(*deployment, config, *table);
  if (!followed.ok()) return followed.status();
  auto handle = TableHandle::Create(*table, config, *std::move(followed));
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

std::shared_ptr<EmbeddingTable> TableRegistry::FindOpen(const Identity& identity) {
  MutexLock lock(&mutex_);
  const auto known = tables_.find(identity);
  return known == tables_.end() ? nullptr : known->second.table.lock();
}

absl::StatusOr<std::shared_ptr<EmbeddingTable>> TableRegistry::OpenRows(
    const DeploymentConfig& deployment, const TableConfig& config) {
  MutexLock lock(&open_mutex_);
  absl::StatusOr<TableSpec> spec = Describe(deployment, config);
  if (!spec.ok()) return spec.status();
  absl::Status agrees = CheckAgrees(*spec, config, deployment.path);
  if (!agrees.ok()) return agrees;

  std::shared_ptr<EmbeddingTable> table =
      FindOpen(Identity(spec->deployment, spec->name, spec->generation));
  if (table == nullptr) return OpenNew(*spec, config);
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

absl::StatusOr<std::shared_ptr<EmbeddingTable>> TableRegistry::OpenNew(const TableSpec& spec,
                                                                       const TableConfig& config) {
  const ClosedGenerations::Name name{spec.deployment, spec.name};
  const auto others = SharingGenerations(name);
  // The tables of a model are opened one after the other: all count from the first one on.
  for (const auto& table : others.empty() ? others : OpenTables()) {
    if (table->spec().deployment == spec.deployment && table->memory_capacity() > 0) {
      table->CountUses();
    }
  }
  int64_t shared_bytes = 0;
  for (const auto& other : others) shared_bytes += other->MemoryBytes();
  TableConfig fitted = config;
  const absl::StatusOr<int64_t> planned =
      PlanMemory(spec, CurrentResourceLimits(), PromisedBytes(), shared_bytes, &fitted);
  if (!planned.ok()) return planned.status();
  absl::StatusOr<std::shared_ptr<EmbeddingTable>> opened =
      EmbeddingTable::Open(spec, fitted, others);
  if (!opened.ok()) {
    GrowMemoryShares(others);
    return opened.status();
  }
  const std::shared_ptr<EmbeddingTable> table(
      opened->get(), [this, held = *opened, name, config](EmbeddingTable*) mutable {
        held.reset();
        closed_.Closed(name, config);
      });
  {
    MutexLock lock(&mutex_);
    // A server that loads a new generation every hour must not collect the names of the old ones.
    for (auto entry = tables_.begin(); entry != tables_.end();) {
      entry = entry->second.table.expired() ? tables_.erase(entry) : std::next(entry);
    }
    tables_[Identity(spec.deployment, spec.name, spec.generation)] = {table, *planned};
  }
  closed_.Opened(name, config);
  return table;
}

std::vector<std::shared_ptr<EmbeddingTable>> TableRegistry::GenerationsOf(
    const ClosedGenerations::Name& name) {
  std::vector<std::shared_ptr<EmbeddingTable>> generations;
  for (auto& table : OpenTables()) {
    const TableSpec& spec = table->spec();
    if (spec.deployment == name.deployment && spec.name == name.table) {
      generations.push_back(std::move(table));
    }
  }
  return generations;
}

std::vector<std::shared_ptr<EmbeddingTable>> TableRegistry::SharingGenerations(
    const ClosedGenerations::Name& name) {
  std::vector<std::shared_ptr<EmbeddingTable>> sharing;
  for (auto& table : GenerationsOf(name)) {
    if (table->memory_capacity() > 0) sharing.push_back(std::move(table));
  }
  return sharing;
}

void TableRegistry::ShareMemoryOf(const ClosedGenerations::Name& name) {
  MutexLock lock(&open_mutex_);  // an open shares the same memory
  // The deployment's other tables began to count uses too (OpenNew): whoever has all its rows and
  // shares with nobody ends it here.
  std::set<std::string> tables = {name.table};
  for (const auto& table : OpenTables()) {
    if (table->spec().deployment == name.deployment) tables.insert(table->spec().name);
  }
  for (const std::string& table : tables) {
    GrowMemoryShares(SharingGenerations({name.deployment, table}));
  }
}

bool TableRegistry::DropClosed(const ClosedGenerations::Name& name, const TableConfig& config) {
  MutexLock lock(&open_mutex_);
  std::set<std::string> kept;
  for (const auto& table : GenerationsOf(name)) kept.insert(table->spec().generation);
  if (kept.empty()) return false;
  for (const StoreBackend& backend : StoreBackends()) {
    const auto section = config.sections.find(backend.kind);
    if (section == config.sections.end() || backend.drop_others == nullptr) continue;
    absl::Status status = backend.drop_others(name.table, kept, section->second);
    if (!status.ok()) {
      LOG(WARNING) << "table \"" << name.table
                   << "\": what is left of former generations stays: " << status;
    }
  }
  return true;
}

int64_t TableRegistry::PromisedBytes() {
  std::map<std::pair<std::string, std::string>, int> sharing;
  std::vector<std::pair<std::shared_ptr<EmbeddingTable>, int64_t>> open;
  {
    MutexLock lock(&mutex_);
    for (const auto& [identity, entry] : tables_) {
      auto table = entry.table.lock();
      if (table == nullptr) continue;
      if (table->memory_capacity() > 0) ++sharing[{table->spec().deployment, table->spec().name}];
      open.emplace_back(std::move(table), entry.planned_bytes);
    }
  }
  int64_t promised = 0;
  for (const auto& [table, planned] : open) {
    const int n = sharing[{table->spec().deployment, table->spec().name}];
    promised += std::max<int64_t>(0, planned / std::max(1, n) - table->MemoryBytes());
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
