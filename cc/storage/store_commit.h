#ifndef TF_HPS_CC_STORAGE_STORE_COMMIT_H_
#define TF_HPS_CC_STORAGE_STORE_COMMIT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"
#include "cc/common/update_position.h"
#include "cc/storage/row_ages.h"

namespace tf_hps {

// What a commit of a stream does to one table.
struct StoreChange {
  absl::Span<const Key> keys;
  RowsView rows{nullptr, 0};
  absl::Span<const Key> erased;
  // Which commit it is: what EmbeddingStore::StreamRecord gives from then on.
  absl::string_view record;
  // The state of the rows after it, TableSpec::applied at the next open. No stream: nobody else has
  // these rows.
  UpdatePosition position;
  const AgesChange* ages = nullptr;  // of EmbeddingStore::OpenRowAges

  bool has_rows() const { return !keys.empty() || !erased.empty(); }
};

// Rows of several tables of one store, written all or none, whenever the process ends. Between
// Write and Show lookups and scans of these tables see them as they were before; nobody else writes
// to them meanwhile. Not thread-safe.
class StoreCommit {
 public:
  // Shows what was written.
  virtual ~StoreCommit() = default;

  virtual absl::Status Write() = 0;
  virtual void Show() = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STORE_COMMIT_H_
