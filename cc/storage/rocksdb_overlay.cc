#include "cc/storage/rocksdb_overlay.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {
namespace {

constexpr absl::string_view kDeploymentKey = "tf_hps/deployment";

std::string PathIn(const std::string& state_dir) { return absl::StrCat(state_dir, "/overlay"); }

// A folder that two deployments share would mix what their streams say about tables of one name.
absl::Status CheckDeployment(const RocksdbDatabase& overlay, const std::string& deployment) {
  const absl::StatusOr<std::string> known = overlay.GetRecord(kDeploymentKey);
  if (!known.ok()) return known.status();
  if (known->empty()) return overlay.PutRecord(kDeploymentKey, deployment);
  if (*known == deployment) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(RocksdbStoreName(overlay.path()), " is deployment \"", *known, "\"'s, not \"",
                   deployment, "\"'s: each needs a `rocksdb.state_dir` of its own"));
}

}  // namespace

absl::StatusOr<OpenRocksdbTable> OpenRocksdbOverlay(const TableSpec& spec, OpenRocksdbTable base,
                                                    const std::string& state_dir) {
  auto database = OpenRocksdb(PathIn(state_dir), {});
  if (!database.ok()) return database.status();
  if (absl::Status status = CheckDeployment(**database, spec.deployment); !status.ok()) {
    return status;
  }
  TableSpec of_overlay = spec;
  of_overlay.generation = base.table->record.generation;
  const std::string below = base.table->changed_by();
  const absl::StatusOr<RocksdbTable*> table = (*database)->CreateTable(of_overlay, below);
  if (!table.ok()) return table.status();
  const RocksdbTableRecord& record = (*table)->record;
  if (record.over != below || record.row_bytes() != base.row_bytes()) {
    return absl::FailedPreconditionError(
        absl::StrCat(base.Name(), ", generation ", record.generation, ", was changed (to \"", below,
                     "\") since ", RocksdbStoreName((*database)->path()),
                     " was made over it (at \"", record.over.value_or(""),
                     "\"). Delete that folder: the updates since come from the stream again"));
  }
  if ((*table)->changed_by().empty() && !below.empty()) (*table)->SetChangedBy(below);
  return OpenRocksdbTable{*std::move(database), *table,
                          std::make_shared<const OpenRocksdbTable>(std::move(base))};
}

absl::StatusOr<std::string> RocksdbOverlayChangedBy(const RocksdbTableRecord& base,
                                                    const std::string& state_dir) {
  const absl::StatusOr<std::vector<RocksdbTableRecord>> tables =
      ReadRocksdbTables(PathIn(state_dir));
  if (absl::IsNotFound(tables.status())) return std::string();
  if (!tables.ok()) return tables.status();
  for (const RocksdbTableRecord& record : *tables) {
    if (record.name == base.name && record.generation == base.generation) return record.changed_by;
  }
  return std::string();
}

absl::Status DropRocksdbOverlays(const std::string& name, const std::set<std::string>& kept,
                                 const std::string& state_dir) {
  const auto database = FindOpenRocksdb(PathIn(state_dir));
  if (!database.ok()) return absl::OkStatus();
  for (const RocksdbTableRecord& record : (*database)->Tables()) {
    if (record.name != name || kept.count(record.generation) != 0) continue;
    absl::Status status = (*database)->DropTable(record.name, record.generation);
    if (!status.ok()) return status;
    LOG(INFO) << "table \"" << name << "\": dropped the updates of generation " << record.generation
              << ", which is not served any more, from " << RocksdbStoreName((*database)->path());
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
