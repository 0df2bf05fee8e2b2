#ifndef TF_HPS_CC_STORAGE_ROCKSDB_ROW_AGES_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_ROW_AGES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_scanner.h"
#include "cc/storage/row_ages.h"

namespace tf_hps {

// The ages beside a table's rows, in a column family of their own (docs/formats.md). Where there
// are none that go with the rows as they are, all rows are written down as loaded: a pass over the
// table.
absl::StatusOr<std::unique_ptr<RowAges>> OpenRocksdbRowAges(OpenRocksdbTable table);

// Adds the change to what a commit writes.
void AddAgesChange(const RocksdbTable& table, const AgesChange& change,
                   rocksdb_writebatch_t* batch);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_ROW_AGES_H_
