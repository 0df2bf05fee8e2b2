#include "cc/hierarchy/device_lookup_group.h"

#include <algorithm>
#include <utility>

namespace tf_hps {

void DeviceLookupGroup::Add(std::unique_ptr<DeviceLookup> lookup, const CommitGate* gate) {
  members_.push_back({std::move(lookup), gate, {}, WaitsFor::kNothing});
}

absl::StatusOr<WaitsFor> DeviceLookupGroup::Step() {
  const bool begins = !begun_;
  if (begins) {
    if (!Begin()) return waits_for_ = WaitsFor::kStores;
    begun_ = true;
  }
  absl::StatusOr<WaitsFor> next = StepMembers(begins ? WaitsFor::kNothing : waits_for_);
  if (!next.ok()) return next;
  waits_for_ = *next;
  if (begins) return SawOneCommit() ? next : BeginAgain();
  reads_tiers_ = reads_tiers_ || *next != WaitsFor::kNothing;
  if (*next != WaitsFor::kNothing || !reads_tiers_ || SawOneCommit()) return next;
  return BeginAgain();
}

void DeviceLookupGroup::Restart() {
  for (Member& member : members_) {
    member.lookup->Restart();
    member.waits_for = WaitsFor::kNothing;
  }
  begun_ = reads_tiers_ = false;
  waits_for_ = WaitsFor::kNothing;
}

bool DeviceLookupGroup::Begin() {
  const bool may_wait = waits_for_ == WaitsFor::kStores;
  for (Member& member : members_) {
    if (member.gate == nullptr) continue;
    if (attempts_ >= CommitGate::kAttempts) {
      pins_.emplace_back(member.gate);
    } else if (may_wait) {
      member.moment = member.gate->BeginBetweenCommits();
    } else if (const auto moment = member.gate->TryBeginBetweenCommits()) {
      member.moment = *moment;
    } else {
      return false;
    }
  }
  ++attempts_;
  return true;
}

bool DeviceLookupGroup::SawOneCommit() const {
  return !pins_.empty() || std::all_of(members_.begin(), members_.end(), [](const Member& member) {
    return member.gate == nullptr || member.gate->IsStill(member.moment);
  });
}

absl::StatusOr<WaitsFor> DeviceLookupGroup::BeginAgain() {
  const auto exact = std::find_if(members_.begin(), members_.end(),
                                  [](const Member& member) { return member.gate != nullptr; });
  exact->gate->CountRetry();
  Restart();
  return waits_for_ = WaitsFor::kStores;
}

absl::StatusOr<WaitsFor> DeviceLookupGroup::StepMembers(WaitsFor reached) {
  WaitsFor next = WaitsFor::kNothing;
  for (Member& member : members_) {
    // Who waits for nothing begins, or is over.
    if (member.waits_for == reached) {
      absl::StatusOr<WaitsFor> waits_for = member.lookup->Step();
      if (!waits_for.ok()) return waits_for;
      member.waits_for = *waits_for;
    }
    if (member.waits_for == WaitsFor::kStores || next == WaitsFor::kNothing) {
      next = member.waits_for;
    }
  }
  return next;
}

}  // namespace tf_hps
