#ifndef TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_GROUP_H_
#define TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_GROUP_H_

#include <deque>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/device_lookup.h"

namespace tf_hps {

// The lookups of one call, side by side. They see the same commit of a deployment, whole: where
// another one came in between, all are begun anew. The first step never waits; where a commit is to
// be waited for, the group goes on as if it waited for the stores.
//
// What a kernel finds in a cache was decided when it was queued, for a commit's rows are queued
// while it is shown. So a call that only hits asks once, right after its kernels were queued, and
// one that reads the tiers below asks again at its end.
class DeviceLookupGroup : public DeviceLookup {
 public:
  // `gate` of the lookup's deployment; null for a lookup that may give out default rows: it sees
  // each row as it is.
  void Add(std::unique_ptr<DeviceLookup> lookup, const CommitGate* gate);
  absl::StatusOr<WaitsFor> Step() override;
  void Restart() override;

 private:
  struct Member {
    std::unique_ptr<DeviceLookup> lookup;
    const CommitGate* gate;
    CommitGate::Moment moment;  // that is looked at
    WaitsFor waits_for;
  };

  // False where it would have to wait and must not.
  bool Begin();
  bool SawOneCommit() const;
  absl::StatusOr<WaitsFor> BeginAgain();
  // Each member that waited for what was reached makes a step. What the group waits for then: the
  // stores, whose thread lets the device get on.
  absl::StatusOr<WaitsFor> StepMembers(WaitsFor reached);

  std::vector<Member> members_;
  bool begun_ = false;
  bool reads_tiers_ = false;  // a member goes on after its first look
  int attempts_ = 0;
  WaitsFor waits_for_ = WaitsFor::kNothing;
  std::deque<CommitGate::Pin> pins_;  // once it was begun too often
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_GROUP_H_
