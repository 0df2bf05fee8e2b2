#include "cc/storage/rocksdb_delta.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tf_hps {
namespace {

std::string NameOf(const OpenRocksdbTable& table) {
  return absl::StrCat(table.Name(), ", generation ", table.table->record.generation);
}

}  // namespace

absl::StatusOr<OpenRocksdbTable> WithRocksdbBase(OpenRocksdbTable table) {
  const RocksdbTableRecord& record = table.table->record;
  if (!record.base.has_value()) return table;
  const absl::StatusOr<RocksdbTable*> found = table.database->FindTable(record.name, *record.base);
  if (!found.ok()) {
    return absl::DataLossError(
        absl::StrCat(NameOf(table), ", has only what differs from generation ", *record.base,
                     ", which is gone: ", found.status().message()));
  }
  const OpenRocksdbTable base = {table.database, *found};
  if (base.table->record.has_erased_keys() || base.row_bytes() != table.row_bytes()) {
    return absl::DataLossError(absl::StrCat(NameOf(table), ", cannot lie over generation ",
                                            *record.base, ": that is a delta, or has other rows"));
  }
  if (const std::string changed_by = base.table->changed_by(); !changed_by.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        NameOf(table), ", has only what differs from generation ", *record.base,
        ", whose rows were changed since (to \"", changed_by, "\"). Load the table in full."));
  }
  table.base = std::make_shared<const OpenRocksdbTable>(base);
  return table;
}

absl::Status CheckNoDeltaOver(const OpenRocksdbTable& table) {
  const RocksdbTableRecord& record = table.table->record;
  std::vector<std::string> deltas;
  for (const RocksdbTableRecord& other : table.database->Tables()) {
    if (other.name == record.name && other.base == record.generation) {
      deltas.push_back(other.generation);
    }
  }
  if (deltas.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(NameOf(table), ", takes no rows: ", absl::StrJoin(deltas, ", "),
                   deltas.size() == 1 ? " is a delta over it. Use that"
                                      : " are deltas over it. Use one of those",
                   " generation, or drop what nobody needs (StoreWriter.drop_table)."));
}

}  // namespace tf_hps
