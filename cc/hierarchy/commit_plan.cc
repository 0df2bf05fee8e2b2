#include "cc/hierarchy/commit_plan.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cc/common/update_position.h"

namespace tf_hps {

CommitPlan::CommitPlan(const UpdateSource::Commit& commit, const std::string& deployment,
                       const std::set<std::string>& known_tables,
                       absl::Span<const FollowingTable> tables, const std::vector<bool>& is_behind)
    : commit_(ReadUpdateCommit(commit)) {
  for (const FollowingTable& following : tables) rows_.emplace_back(following.table->spec());
  const bool is_ours = commit_.ok() && commit_->deployment == deployment;
  if (!commit_.ok()) {
    quarantined_ = std::string(commit_.status().message());
  } else if (is_ours) {
    Sort(known_tables, tables, is_behind);
  } else {
    ++counts_.other_deployment;
  }
  counts_.quarantined = quarantined_.empty() ? 0 : 1;
  MoveOn(commit, is_ours, tables, is_behind);
}

void CommitPlan::Sort(const std::set<std::string>& known_tables,
                      absl::Span<const FollowingTable> tables, const std::vector<bool>& is_behind) {
  for (const UpdateFrame& frame : commit_->changes) {
    // Its rows are lost to nobody here: the commit's other tables get theirs.
    if (known_tables.count(frame.table) == 0) {
      quarantined_ = absl::StrCat("the deployment has no table \"", frame.table,
                                  "\"; it has: ", absl::StrJoin(known_tables, ", "));
      continue;
    }
    bool is_open = false;
    for (size_t i = 0; i < tables.size(); ++i) {
      const TableSpec& spec = tables[i].table->spec();
      if (spec.name != frame.table || spec.generation != frame.generation) continue;
      is_open = true;
      if (!is_behind[i]) continue;
      if (absl::Status status = rows_[i].Add(frame); !status.ok()) {
        // A commit is one thing: nothing of it is applied.
        quarantined_ = std::string(status.message());
        rows_.clear();
        return;
      }
    }
    if (!is_open) ++counts_.other_generation;
  }
}

void CommitPlan::MoveOn(const UpdateSource::Commit& commit, bool is_ours,
                        absl::Span<const FollowingTable> tables,
                        const std::vector<bool>& is_behind) {
  struct Moved {
    std::shared_ptr<const StreamRecord> record;
    std::string json;
    StreamRecord::Arrival arrival;
  };
  std::map<const StreamRecord*, Moved> moved;  // most tables are at one place, and share the record
  bool repeated = false, gap = false;
  for (size_t i = 0; i < tables.size(); ++i) {
    const std::shared_ptr<const StreamRecord>& before = tables[i].record;
    records_.push_back(before);
    if (!is_behind[i]) continue;
    const auto [it, is_new] = moved.try_emplace(before.get());
    Moved& after = it->second;
    if (is_new) {
      auto record = std::make_shared<StreamRecord>(*before);
      after.arrival = StreamRecord::Arrival::kNew;
      if (is_ours) {
        after.arrival = record->Advance(*commit_);
      } else {
        record->position = commit.position;
      }
      after.json = record->ToJson();
      after.record = std::move(record);
    }
    repeated = repeated || after.arrival == StreamRecord::Arrival::kRepeated;
    gap = gap || after.arrival == StreamRecord::Arrival::kAfterGap;
    records_[i] = after.record;
    TableChange change;
    change.table = tables[i].table.get();
    change.record = after.json;
    if (const auto position = ParseUpdatePosition(commit.position); position.ok()) {
      change.position = *position;
    }
    if (is_ours && !rows_.empty() && after.arrival != StreamRecord::Arrival::kRepeated) {
      change.batch = rows_[i].Batch();
      counts_.rows += static_cast<int64_t>(change.batch.keys.size());
      counts_.erased += static_cast<int64_t>(change.batch.erased.size());
    }
    const bool counts = is_ours && !rows_.empty() && tables[i].growth != nullptr &&
                        after.arrival != StreamRecord::Arrival::kRepeated;
    growths_.push_back(counts ? tables[i].growth.get() : nullptr);
    changes_.push_back(std::move(change));
  }
  counts_.repeated = repeated ? 1 : 0;
  counts_.gaps = gap ? 1 : 0;
}

absl::Status CommitPlan::BoundGrowth() {
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (growths_[i] == nullptr) continue;
    TableChange& change = changes_[i];
    UpdateBatch& batch = change.batch;
    const auto decided = growths_[i]->Decide(commit_->position, commit_->time_us, batch);
    if (!decided.ok()) return decided.status();
    const GrowthDecision& decision = **decided;
    change.ages = &decision.ages;
    // Shared tiers: servers with other bounds, or others since another commit, have other rows.
    if (!change.position.stream.empty()) {
      absl::StrAppend(&change.position.stream, "~", decision.after.history);
    }
    if (!decision.rejected.empty()) {
      AdmittedRows& admitted = admitted_.emplace_back();
      for (size_t k = 0; k < batch.keys.size(); ++k) {
        if (std::binary_search(decision.rejected.begin(), decision.rejected.end(), batch.keys[k])) {
          continue;
        }
        admitted.keys.push_back(batch.keys[k]);
        const uint8_t* const row = batch.rows.row(k);
        admitted.rows.insert(admitted.rows.end(), row, row + batch.rows.row_bytes());
      }
      counts_.rows -= static_cast<int64_t>(batch.keys.size() - admitted.keys.size());
      batch.keys = admitted.keys;
      batch.rows = RowsView(admitted.rows.data(), batch.rows.row_bytes());
    }
    counts_.bounded +=
        decision.expired + decision.evicted + static_cast<int64_t>(decision.rejected.size());
    batch.erased = decision.erased;
  }
  return absl::OkStatus();
}

void CommitPlan::Applied() {
  for (TableGrowth* growth : growths_) {
    if (growth != nullptr) growth->Applied();
  }
}

}  // namespace tf_hps
