#ifndef TF_HPS_CC_HIERARCHY_COMMIT_PLAN_H_
#define TF_HPS_CC_HIERARCHY_COMMIT_PLAN_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/table_growth.h"
#include "cc/hierarchy/table_update.h"
#include "cc/update/stream_record.h"
#include "cc/update/update_commit.h"
#include "cc/update/update_source.h"

namespace tf_hps {

// An open table that follows a stream, and how far it has come.
struct FollowingTable {
  std::shared_ptr<EmbeddingTable> table;
  std::shared_ptr<const StreamRecord> record;
  std::shared_ptr<TableGrowth> growth;  // null: not bounded
};

// The rows of a batch without those of ids that are rejected.
struct AdmittedRows {
  std::vector<Key> keys;
  std::vector<uint8_t> rows;
};

// What a commit is to the tables of a deployment that are open.
class CommitPlan {
 public:
  struct Counts {
    int64_t rows = 0;    // applied
    int64_t erased = 0;  // applied
    int64_t repeated = 0, gaps = 0;
    int64_t other_deployment = 0;  // commits
    int64_t other_generation = 0;  // frames
    int64_t quarantined = 0;       // commits, whole or in part
    int64_t bounded = 0;           // rows that left, and new ids that did not come in
  };

  // `known_tables` are the deployment's, open or not; `is_behind[i]` says whether tables[i] has not
  // come to this commit yet: those move on, whether the commit has rows for them or not.
  CommitPlan(const UpdateSource::Commit& commit, const std::string& deployment,
             const std::set<std::string>& known_tables, absl::Span<const FollowingTable> tables,
             const std::vector<bool>& is_behind);

  // What the bounds of tables make of their changes. Once, before they are taken.
  absl::Status BoundGrowth();
  // Of the tables behind. Once, and not longer than this.
  std::vector<TableChange> TakeChanges() { return std::move(changes_); }
  // They are applied: what was decided about growth counts.
  void Applied();
  // For each of `tables`: its record then.
  const std::vector<std::shared_ptr<const StreamRecord>>& records() const { return records_; }
  const Counts& counts() const { return counts_; }
  // Why the commit is kept aside; empty: it is not.
  const std::string& quarantined() const { return quarantined_; }
  int64_t time_us() const { return commit_.ok() ? commit_->time_us : 0; }
  int64_t changed_rows() const { return counts_.rows + counts_.erased + counts_.bounded; }

 private:
  void Sort(const std::set<std::string>& known_tables, absl::Span<const FollowingTable> tables,
            const std::vector<bool>& is_behind);
  void MoveOn(const UpdateSource::Commit& commit, bool is_ours,
              absl::Span<const FollowingTable> tables, const std::vector<bool>& is_behind);

  const absl::StatusOr<UpdateCommit> commit_;
  std::deque<TableRows> rows_;  // of each table
  std::vector<TableChange> changes_;
  std::vector<TableGrowth*> growths_;  // of each change; null: nothing is to be decided
  std::deque<AdmittedRows> admitted_;
  std::vector<std::shared_ptr<const StreamRecord>> records_;
  Counts counts_;
  std::string quarantined_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_COMMIT_PLAN_H_
