#ifndef TF_HPS_CC_HIERARCHY_UPDATE_FOLLOWER_H_
#define TF_HPS_CC_HIERARCHY_UPDATE_FOLLOWER_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/commit_plan.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/update/quarantine.h"
#include "cc/update/update_options.h"
#include "cc/update/update_source.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// Brings the commits of a stream to the open tables of one deployment, on a thread of its own.
// Thread-safe.
//
// Each table has its own place in the stream. The one that is furthest behind decides what is read
// next; the others pass over what they have. Commits for a generation nobody has open are passed
// over, too: its table goes on from its own place when it is opened.
class UpdateFollower {
 public:
  static absl::StatusOr<std::shared_ptr<UpdateFollower>> Open(const std::string& deployment,
                                                              const UpdateOptions& options);
  ~UpdateFollower();

  const UpdateOptions& options() const { return options_; }
  // Tables of the deployment, open or not: others in a commit are a mistake.
  void AddKnownTables(const std::set<std::string>& names);

  // From where the table has come, or from `start`. Each Add has a Remove, which waits until the
  // thread has let go of the table.
  absl::Status Add(const std::shared_ptr<EmbeddingTable>& table, const std::string& start);
  void Remove(const EmbeddingTable* table);

  // Until the table has everything up to `position`. DeadlineExceeded says where it stands.
  absl::Status WaitUntil(const EmbeddingTable* table, const std::string& position,
                         std::chrono::milliseconds timeout) const;

  // What the newest model that was loaded goes with: commits behind it are counted.
  void SetExported(const std::string& position);

  // See docs/operations.md.
  nlohmann::json Stats(const EmbeddingTable* table) const;
  // {"position", "time_us"} of the last commit that the table has.
  nlohmann::json Place(const EmbeddingTable* table) const;

 private:
  struct Member {
    FollowingTable following;
    int holders = 0;
    int64_t commits = 0;
  };

  UpdateFollower(std::string deployment, const UpdateOptions& options,
                 std::unique_ptr<UpdateSource> source);
  void Run();
  // The tables that a step works for; none: it is time to end.
  std::vector<FollowingTable> BeginStep();
  // Whether there may be more at once.
  bool Step(std::vector<FollowingTable> tables);
  // Takes out the tables that the stream has left behind, most of the time.
  void LeaveLostOnes(std::vector<FollowingTable>* tables);
  absl::Status Apply(const UpdateSource::Commit& commit, const std::vector<FollowingTable>& tables);
  void EndStep(std::vector<FollowingTable> tables);
  void SetState(const char* state, const absl::Status& error);
  void MeasureLag(const std::string& position);

  // Constant after construction.
  const std::string deployment_;
  const UpdateOptions options_;
  CommitGate& gate_;

  // The thread's own, but for IsBefore.
  const std::unique_ptr<UpdateSource> source_;
  Quarantine quarantine_;
  std::string seen_;  // the last position; a table that joins late has older ones read again
  std::string quarantined_position_;
  std::chrono::steady_clock::time_point lag_measured_, lost_tried_;

  Mutex adding_;  // held by Add, which may read all of a table
  mutable Mutex mutex_;
  mutable CondVar changed_;  // members, their places, the step, stopping
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool in_step_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t steps_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<const EmbeddingTable*, Member> members_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> known_tables_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point not_before_ ABSL_GUARDED_BY(mutex_);
  // Positions after which commits are gone, and what the source said. Tables that stand there get
  // no more; the others go on.
  std::map<std::string, std::string> lost_ ABSL_GUARDED_BY(mutex_);
  const char* state_ ABSL_GUARDED_BY(mutex_) = "catching up";
  std::string error_ ABSL_GUARDED_BY(mutex_);
  CommitPlan::Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::string quarantine_reason_ ABSL_GUARDED_BY(mutex_);
  std::string exported_ ABSL_GUARDED_BY(mutex_);
  int64_t lag_commits_ ABSL_GUARDED_BY(mutex_) = -1;    // -1: not known
  int64_t commits_ahead_ ABSL_GUARDED_BY(mutex_) = -1;  // of exported_
  int64_t visible_after_us_ ABSL_GUARDED_BY(mutex_) = 0;

  std::thread thread_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_UPDATE_FOLLOWER_H_
