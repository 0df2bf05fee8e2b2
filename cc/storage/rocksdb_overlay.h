#ifndef TF_HPS_CC_STORAGE_ROCKSDB_OVERLAY_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_OVERLAY_H_

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "cc/common/table_spec.h"
#include "cc/storage/rocksdb_scanner.h"

namespace tf_hps {

// Rows of a store that is not written to, and over them those that changed since: in a database of
// one server's own, <state_dir>/overlay, for all tables of a deployment.
//
// FailedPrecondition: the overlay is open in another process (which one), is another deployment's,
// or was made over other rows.
absl::StatusOr<OpenRocksdbTable> OpenRocksdbOverlay(const TableSpec& spec, OpenRocksdbTable base,
                                                    const std::string& state_dir);

// What changed the rows of `base` in its overlay, as RocksdbTableRecord::changed_by; empty where
// there is none yet.
absl::StatusOr<std::string> RocksdbOverlayChangedBy(const RocksdbTableRecord& base,
                                                    const std::string& state_dir);

// Drops what the overlay, where this process has it open, has over generations of table `name`
// other than `kept`.
absl::Status DropRocksdbOverlays(const std::string& name, const std::set<std::string>& kept,
                                 const std::string& state_dir);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_OVERLAY_H_
