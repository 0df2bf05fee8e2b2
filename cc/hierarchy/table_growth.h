#ifndef TF_HPS_CC_HIERARCHY_TABLE_GROWTH_H_
#define TF_HPS_CC_HIERARCHY_TABLE_GROWTH_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/config.h"
#include "cc/common/mutex.h"
#include "cc/common/table_spec.h"
#include "cc/hierarchy/growth_state.h"
#include "cc/storage/embedding_store.h"
#include "cc/update/update_batch.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// What the bounds of a table make of a commit.
struct GrowthDecision {
  std::string position;       // of the commit
  std::vector<Key> erased;    // its own erases, and the rows that leave
  std::vector<Key> rejected;  // new ids that do not come in; ascending
  int64_t expired = 0;        // rows that leave because of their age
  int64_t evicted = 0;        // rows that leave for new ids
  AgesChange ages;
  GrowthState after;
};

// Bounds the growth of a table that follows a stream (docs/updates.md). What leaves with a commit
// is a function of the commits up to it and of nothing else: no clock of a server, no lookups. One
// thread; Stats and history from any.
class TableGrowth {
 public:
  // So many rows leave with a commit at the most, or, where that is more, twice as many as it
  // brings: no commit takes seconds because many rows become old at once. The rest goes with the
  // next ones.
  static constexpr size_t kLeaveAtOnce = 65536;

  // With the table's bounds; `store` keeps its rows. InvalidArgument for a table without ages that
  // has more rows than the bound: none of them is older than another.
  static absl::StatusOr<std::shared_ptr<TableGrowth>> Open(const TableSpec& spec,
                                                           const GrowthBounds& bounds,
                                                           EmbeddingStore* store);

  // The same answer until Applied, however often a commit is tried. `batch` has what the commit
  // brings, `time_us` says when it was committed.
  absl::StatusOr<const GrowthDecision*> Decide(const std::string& position, int64_t time_us,
                                               const UpdateBatch& batch);
  // What was decided last is written and shown.
  void Applied();

  const GrowthBounds& bounds() const { return bounds_; }
  nlohmann::json Stats() const;

 private:
  // A key of a commit.
  struct Touched {
    Key key;
    int64_t was;  // its row's time before
    bool stays;   // there is a row of it afterwards

    bool is_new() const { return stays && was == RowAge::kNone; }
  };

  TableGrowth(const TableSpec& spec, const GrowthBounds& bounds, std::unique_ptr<RowAges> ages)
      : name_(spec.name), bounds_(bounds), ages_(std::move(ages)) {}
  absl::Status ReadState();
  // In this order.
  void BeginInstant(int64_t time_us, GrowthDecision* decision) const;
  absl::StatusOr<std::vector<Touched>> Touch(const UpdateBatch& batch) const;
  absl::Status LetGoOfOld(size_t at_once, const std::vector<Touched>& touched,
                          GrowthDecision* decision) const;
  void LetGoOfNew(std::vector<Touched>* touched, GrowthDecision* decision) const;
  void Reject(absl::Span<const Key> keys, std::vector<Touched>* touched,
              GrowthDecision* decision) const;

  bool IsOver(const GrowthState& state) const {
    return bounds_.max_rows > 0 && state.rows > bounds_.max_rows;
  }
  void LogRejected(const GrowthDecision& decision);

  // Constant after Open.
  const std::string name_;
  const GrowthBounds bounds_;
  const std::unique_ptr<RowAges> ages_;

  // The follower's thread's.
  GrowthState state_;
  std::unique_ptr<GrowthDecision> decided_;
  std::chrono::steady_clock::time_point logged_;
  int64_t not_logged_ = 0;  // rejected ids

  mutable Mutex mutex_;
  GrowthState shown_ ABSL_GUARDED_BY(mutex_);
  int64_t expired_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t rejected_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_GROWTH_H_
