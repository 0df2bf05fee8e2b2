#ifndef TF_HPS_CC_STORAGE_ROCKSDB_COMMIT_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_COMMIT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_database.h"
#include "cc/storage/row_ages.h"
#include "cc/storage/store_commit.h"

namespace tf_hps {

// Rows of tables of one database, and each table's place in its stream, in one write batch.
class RocksdbCommit : public StoreCommit {
 public:
  explicit RocksdbCommit(std::shared_ptr<RocksdbDatabase> database);
  ~RocksdbCommit() override;

  const RocksdbDatabase* database() const { return database_.get(); }
  void Add(RocksdbTable* table, const StoreChange& change);

  absl::Status Write() override;
  void Show() override;

 private:
  const std::shared_ptr<RocksdbDatabase> database_;
  RocksdbBatchPtr batch_;
  std::vector<RocksdbDatabase::Changed> tables_;  // those with rows
  bool is_hidden_ = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_COMMIT_H_
