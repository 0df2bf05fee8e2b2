#ifndef TF_HPS_CC_STORAGE_ROCKSDB_CONTENTS_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_CONTENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_table_record.h"

namespace tf_hps {

enum class RocksdbPathState {
  kMissing,   // nothing there
  kEmpty,     // a directory in which no database was made yet
  kDatabase,  // a RocksDB database, ours or not
};

// Looks at names of files only. InvalidArgument where no store can be.
absl::StatusOr<RocksdbPathState> InspectRocksdbPath(const std::string& path);

// What the default column family says.
struct RocksdbContents {
  std::vector<std::string> column_families;  // of the database, with "default"; see LookIntoRocksdb
  bool has_format_version = false;
  std::vector<RocksdbTableRecord> tables;
};

// Reads it. FailedPrecondition: a newer format version. Leaves column_families empty.
absl::StatusOr<RocksdbContents> ReadRocksdbContents(const std::string& path, rocksdb_t* db,
                                                    rocksdb_column_family_handle_t* records);

// Opens the database at `path` read-only, just for this: takes no lock, writes nothing, and sees
// what other processes have loaded since. Fails for a database that is no tf_hps store, and with
// DataLoss where files or column families are missing that the records speak of: before a writer
// opens such a database and cleans up what it believes nobody needs. A database in which nothing
// was written yet has no format version and passes.
absl::StatusOr<RocksdbContents> LookIntoRocksdb(const std::string& path);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_CONTENTS_H_
