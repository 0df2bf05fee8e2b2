#ifndef TF_HPS_CC_STORAGE_ROCKSDB_SCANNER_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_SCANNER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/embedding_store.h"
#include "cc/storage/rocksdb_database.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {

// What a store, its scanners and their errors need of one table.
struct OpenRocksdbTable {
  std::shared_ptr<RocksdbDatabase> database;
  RocksdbTable* table;  // the database's
  // Of an overlay or a delta: what it lies over, which nobody writes to meanwhile.
  std::shared_ptr<const OpenRocksdbTable> base = nullptr;

  rocksdb_t* db() const { return database->db(); }
  rocksdb_column_family_handle_t* rows() const { return table->rows.get(); }
  size_t row_bytes() const { return table->record.row_bytes(); }
  std::string Name() const {  // for messages
    return absl::StrCat(RocksdbStoreName(database->path()), ", table \"", table->record.name, "\"");
  }
  // Whether a value says that its key was erased.
  bool IsErased(size_t bytes) const { return bytes == 0 && table->record.has_erased_keys(); }
  // DataLoss: the row of `key` has `bytes` bytes.
  absl::Status WrongLength(Key key, size_t bytes) const;
};

// The rows of [first, last] as they are now, in the order of their keys.
std::unique_ptr<RowScanner> NewRocksdbScanner(const OpenRocksdbTable& table, Key first, Key last);

// Takes the row away, or hides the one below.
void AddErase(const RocksdbTable& table, Key key, rocksdb_writebatch_t* batch);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_SCANNER_H_
