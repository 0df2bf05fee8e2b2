#ifndef TF_HPS_CC_UPDATE_UPDATE_BATCH_H_
#define TF_HPS_CC_UPDATE_UPDATE_BATCH_H_

#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"

namespace tf_hps {

// The one door by which rows come into an open table, whoever brings them: a Python insert, a bulk
// load, an online update. Not owned. With equal keys the last one counts; erases come after
// inserts.
struct UpdateBatch {
  absl::Span<const Key> keys;
  RowsView rows;  // stored form: keys.size() rows of the table's row_bytes
  absl::Span<const Key> erased;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_BATCH_H_
