#ifndef TF_HPS_CC_STORAGE_ROCKSDB_DATABASES_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_DATABASES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/storage/rocksdb_database.h"

namespace tf_hps {

// The databases of this process, each opened once and closed when its last holder lets go. Two
// owners of one path in a process would not notice each other: closing one drops the other's lock.

// Opens the store at `path`, or shares it. FailedPrecondition where it is to be written and is open
// read-only; a reader shares a writer's database, and keeps from writing itself.
absl::StatusOr<std::shared_ptr<RocksdbDatabase>> OpenRocksdb(const std::string& path,
                                                             const RocksdbOptions& options);

// A read-only database as the store is now. `stale` stays as it was for its holders.
absl::StatusOr<std::shared_ptr<RocksdbDatabase>> ReopenRocksdb(
    std::shared_ptr<RocksdbDatabase> stale, const RocksdbOptions& options);

// The tables of a store without holding it open: the present ones on disk, or a writer's in this
// process. NotFound where there is no store.
absl::StatusOr<std::vector<RocksdbTableRecord>> ReadRocksdbTables(const std::string& path);

struct OpenRocksdbDatabase {
  std::string path;
  bool read_only;
};
std::vector<OpenRocksdbDatabase> OpenRocksdbDatabases();

// The open database at `path`; NotFound lists those that are.
absl::StatusOr<std::shared_ptr<RocksdbDatabase>> FindOpenRocksdb(const std::string& path);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_DATABASES_H_
