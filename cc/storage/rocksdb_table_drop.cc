#include <memory>
#include <string>
#include <utility>

#include "cc/storage/rocksdb_database.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {

absl::Status RocksdbDatabase::DropTable(const std::string& name, const std::string& generation) {
  std::unique_ptr<RocksdbTable> table;
  {
    MutexLock lock(&mutex_);
    const auto known = tables_.find({name, generation});
    if (known == tables_.end()) return absl::OkStatus();
    table = std::move(known->second);
    tables_.erase(known);
  }
  // The records first: rows without a record are no table, and the next writer drops them.
  const RocksdbTableRecord& record = table->record;
  const RocksdbBatchPtr batch(rocksdb_writebatch_create());
  for (const std::string& key :
       {record.TableKey(), record.ModifiedKey(), record.StreamKey(), record.GrowthKey()}) {
    rocksdb_writebatch_delete_cf(batch.get(), records_.get(), key.data(), key.size());
  }
  if (absl::Status status = WriteBatch(batch.get(), RocksdbStoreName(path_)); !status.ok()) {
    MutexLock lock(&mutex_);
    tables_[{name, generation}] = std::move(table);
    return status;
  }
  for (rocksdb_column_family_handle_t* family : {table->rows.get(), table->ages.get()}) {
    if (family == nullptr) continue;
    RocksdbError error;
    rocksdb_drop_column_family(db_.get(), family, error.out());
    if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
