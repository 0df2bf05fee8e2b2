#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_databases.h"
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
  const auto text = [&](const char* name) {
    const auto it = options.find(name);
    return it != options.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  RocksdbSection parsed;
  parsed.path = text("path");
  if (parsed.path.empty()) {
    return absl::InvalidArgumentError("`rocksdb.path` is needed: the directory of the store.");
  }
  RocksdbOptions& result = parsed.rocksdb;
  result.read_only = options.value("read_only", result.read_only);
  result.block_cache_bytes = options.value("block_cache_bytes", result.block_cache_bytes);
  if (result.read_only) parsed.state_dir = text("state_dir");
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
  return OpenRocksdbTable{*std::move(database), *table};
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

const bool rocksdb_is_registered = RegisterStoreBackend(
    {"rocksdb",
     StoreRank::kPersistent,
     {{"path", FieldType::kPath, nullptr, "directory of the store"},
      {"read_only", FieldType::kBool, false,
       "take no lock and write nothing: any number of processes may"},
      {"state_dir", FieldType::kPath, nullptr,
       "of a store that is read-only: a folder of this server's own, for what updates change"},
      {"block_cache_bytes", FieldType::kInt, RocksdbOptions().block_cache_bytes,
       "memory for blocks read, in bytes, for all tables of the store; 0: none"}},
     &OpenRocksdbStore,
     &Describe});

}  // namespace
}  // namespace tf_hps
