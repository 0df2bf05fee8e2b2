#ifndef TF_HPS_CC_UPDATE_UPDATE_COMMIT_H_
#define TF_HPS_CC_UPDATE_UPDATE_COMMIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/table_spec.h"
#include "cc/update/update_batch.h"
#include "cc/update/update_frame.h"
#include "cc/update/update_source.h"

namespace tf_hps {

// The frames of a commit, whole: of one publisher, without a gap, the last one of kind commit.
struct UpdateCommit {
  std::string position;
  std::string deployment;
  std::string publisher;
  int64_t first_sequence = 0;
  int64_t next_sequence = 0;
  int64_t time_us = 0;               // when it was committed, on the publisher's clock
  std::vector<UpdateFrame> changes;  // rows and erases, in order

  int64_t rows() const;  // keys of all of them
};

// DataLoss or Unimplemented: what is wrong, and where in the commit.
absl::StatusOr<UpdateCommit> ReadUpdateCommit(const UpdateSource::Commit& commit);

// What a commit's frames do to one table, in the table's row format.
class TableRows {
 public:
  explicit TableRows(const TableSpec& spec) : spec_(spec) {}

  // Of this table and generation, in their order. InvalidArgument: rows of another length, or one
  // with a NaN or an infinity.
  absl::Status Add(const UpdateFrame& frame);
  // Lives as long as this and the frames, which stay where they are. Later frames win.
  UpdateBatch Batch();

 private:
  absl::Status CheckFinite(const UpdateFrame& frame) const;
  void KeepLastOfEachKey();

  const TableSpec& spec_;
  std::vector<const UpdateFrame*> frames_;
  std::vector<Key> keys_;
  std::vector<Key> erased_;
  std::vector<uint8_t> rows_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_COMMIT_H_
