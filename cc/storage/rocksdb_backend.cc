#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"
#include "cc/common/option_value.h"
#include "cc/common/remote_files.h"
#include "cc/storage/fetched_stores.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_delta.h"
#include "cc/storage/rocksdb_overlay.h"
#include "cc/storage/rocksdb_store.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

struct RocksdbSection {
  std::string path;
  std::string state_dir;  // not empty: of a read-only store with an overlay
  RocksdbOptions rocksdb;
};

absl::StatusOr<RocksdbSection> ParseOptions(const nlohmann::json& options) {
  RocksdbSection parsed;
  parsed.path = OptionText(options, "path");
  if (parsed.path.empty()) {
    return absl::InvalidArgumentError("`rocksdb.path` is needed: the directory of the store.");
  }
  RocksdbOptions& result = parsed.rocksdb;
  result.read_only = options.value("read_only", result.read_only);
  result.block_cache_bytes = options.value("block_cache_bytes", result.block_cache_bytes);
  if (result.read_only) parsed.state_dir = OptionText(options, "state_dir");
  if (IsRemotePath(parsed.state_dir)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "`rocksdb.state_dir` is a folder of this machine: give its absolute path. Received: ",
        Quoted(parsed.state_dir)));
  }
  return parsed;
}

// The table of spec.generation; a live one is made where the store may be written.
absl::StatusOr<OpenRocksdbTable> FindOrCreate(const TableSpec& spec, const std::string& path,
                                              const RocksdbOptions& options) {
  absl::StatusOr<std::shared_ptr<RocksdbDatabase>> database = OpenRocksdb(path, options);
  if (!database.ok()) return database.status();
  absl::StatusOr<RocksdbTable*> table = (*database)->FindTable(spec.name, spec.generation);
  if (absl::IsNotFound(table.status()) && (*database)->read_only()) {
    // Loaded since it was opened?
    database = ReopenRocksdb(*database, options);
    if (!database.ok()) return database.status();
    table = (*database)->FindTable(spec.name, spec.generation);
  } else if (absl::IsNotFound(table.status()) && !options.read_only &&
             absl::StartsWith(spec.generation, "live-")) {
    table = (*database)->CreateTable(spec);
  }
  if (!table.ok()) return table.status();
  return WithRocksdbBase({*std::move(database), *table});
}

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenRocksdbStore(const TableSpec& spec,
                                                                 const nlohmann::json& options) {
  const absl::StatusOr<RocksdbSection> parsed = ParseOptions(options);
  if (!parsed.ok()) return parsed.status();
  absl::StatusOr<OpenRocksdbTable> table = FindOrCreate(spec, parsed->path, parsed->rocksdb);
  if (!table.ok()) return table.status();
  const RocksdbTableRecord& record = table->table->record;
  if (record.embedding_dim != spec.embedding_dim || record.row_format != spec.row_format) {
    return absl::InvalidArgumentError(
        absl::StrCat(table->Name(), " has embedding_dim ", record.embedding_dim, " and row_format ",
                     RowFormatName(record.row_format), ". Asked for: embedding_dim ",
                     spec.embedding_dim, " and row_format ", RowFormatName(spec.row_format)));
  }
  if (parsed->state_dir.empty()) {
    return NewRocksdbStore(*std::move(table), parsed->rocksdb.read_only);
  }
  table = OpenRocksdbOverlay(spec, *std::move(table), parsed->state_dir);
  if (!table.ok()) return table.status();
  return NewRocksdbStore(*std::move(table), /*read_only=*/false);
}

absl::StatusOr<TableSpec> Describe(const std::string& name, const std::string& generation,
                                   const nlohmann::json& options) {
  const absl::StatusOr<RocksdbSection> parsed = ParseOptions(options);
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<std::vector<RocksdbTableRecord>> tables = ReadRocksdbTables(parsed->path);
  if (!tables.ok()) return tables.status();
  absl::StatusOr<RocksdbTableRecord> record =
      SelectRocksdbTable(parsed->path, *tables, name, generation);
  if (!record.ok()) return record.status();
  if (!parsed->state_dir.empty()) {
    const absl::StatusOr<std::string> changed_by =
        RocksdbOverlayChangedBy(*record, parsed->state_dir);
    if (!changed_by.ok()) return changed_by.status();
    if (!changed_by->empty()) record->changed_by = *changed_by;
  }
  TableSpec spec;
  spec.name = record->name;
  spec.generation = record->generation;
  spec.embedding_dim = record->embedding_dim;
  spec.row_format = record->row_format;
  spec.rows = record->rows;
  spec.is_updated = !record->changed_by.empty();
  const absl::StatusOr<UpdatePosition> applied = ParseUpdatePosition(record->changed_by);
  if (applied.ok()) spec.applied = *applied;
  return spec;
}

// The paths that hps.json says for a store under a scheme become those of its copy here.
absl::StatusOr<LocalStore> Fetch(const std::string& deployment, const nlohmann::json& options) {
  const absl::StatusOr<RocksdbSection> parsed = ParseOptions(options);
  if (!parsed.ok()) return parsed.status();
  LocalStore local{options, nullptr};
  if (!IsRemotePath(parsed->path)) return local;
  if (!parsed->rocksdb.read_only) {
    return absl::InvalidArgumentError(
        absl::StrCat("the store ", MaskCredentials(parsed->path),
                     " is not on this machine: it is opened with `rocksdb.read_only` "
                     "(TF_HPS_ROCKSDB_READ_ONLY=1) alone, and takes updates in its "
                     "`rocksdb.state_dir`"));
  }
  auto fetched = FetchStore(deployment, parsed->path, parsed->state_dir);
  if (!fetched.ok()) return fetched.status();
  local.options["path"] = (*fetched)->path;
  local.held = *std::move(fetched);
  return local;
}

absl::Status DropOthers(const std::string& name, const std::set<std::string>& kept,
                        const nlohmann::json& options) {
  const absl::StatusOr<RocksdbSection> parsed = ParseOptions(options);
  if (!parsed.ok()) return parsed.status();
  if (parsed->state_dir.empty()) return absl::OkStatus();
  absl::Status status = DropRocksdbOverlays(name, kept, parsed->state_dir);
  status.Update(DropFetchedStores(parsed->state_dir));
  return status;
}

const bool rocksdb_is_registered = RegisterStoreBackend(
    {"rocksdb",
     StoreRank::kPersistent,
     {{"path", FieldType::kPath, nullptr, "directory of the store"},
      {"read_only", FieldType::kBool, false,
       "take no lock and write nothing: any number of processes may"},
      {"state_dir", FieldType::kPath, nullptr,
       "of a store that is read-only: a folder of this server's own, for what updates change, "
       "and for the copy of a store that is elsewhere"},
      {"block_cache_bytes", FieldType::kInt, RocksdbOptions().block_cache_bytes,
       "memory for blocks read, in bytes, for all stores of the process that say the same; "
       "0: none"}},
     &OpenRocksdbStore,
     &Describe,
     /*memory_bytes=*/nullptr,
     &DropOthers,
     &Fetch});

}  // namespace
}  // namespace tf_hps
