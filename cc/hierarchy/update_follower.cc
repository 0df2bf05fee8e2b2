#include "cc/hierarchy/update_follower.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/hierarchy/table_update.h"

namespace tf_hps {
namespace {

using std::chrono::steady_clock;

// Of a stream that cannot be read, or rows that cannot be written.
constexpr std::chrono::milliseconds kRetryPause(200);
// Counting what is left lists a folder, or asks a server.
constexpr std::chrono::milliseconds kBetweenLags(500);
constexpr std::chrono::seconds kBetweenLostTries(1);

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<std::shared_ptr<UpdateFollower>> UpdateFollower::Open(const std::string& deployment,
                                                                     const UpdateOptions& options) {
  absl::StatusOr<std::unique_ptr<UpdateSource>> source = OpenUpdateSource(options.section);
  if (!source.ok()) return source.status();
  return std::shared_ptr<UpdateFollower>(
      new UpdateFollower(deployment, options, *std::move(source)));
}

UpdateFollower::UpdateFollower(std::string deployment, const UpdateOptions& options,
                               std::unique_ptr<UpdateSource> source)
    : deployment_(std::move(deployment)),
      options_(options),
      gate_(CommitGate::Of(deployment_)),
      source_(std::move(source)),
      quarantine_(options.state_dir.empty() ? "" : absl::StrCat(options.state_dir, "/quarantine"),
                  options.quarantine_bytes),
      thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "hps-updates");
}

UpdateFollower::~UpdateFollower() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void UpdateFollower::AddKnownTables(const std::set<std::string>& names) {
  MutexLock lock(&mutex_);
  known_tables_.insert(names.begin(), names.end());
}

absl::Status UpdateFollower::Add(const std::shared_ptr<EmbeddingTable>& table,
                                 const std::string& start) {
  const MutexLock one_at_a_time(&adding_);
  {
    MutexLock lock(&mutex_);
    const auto member = members_.find(table.get());
    if (member != members_.end()) {
      ++member->second.holders;
      return absl::OkStatus();
    }
    // One that has just been removed may be a part of it yet.
    const int64_t step = steps_;
    while (in_step_ && steps_ == step) changed_.Wait(&mutex_);
  }
  std::shared_ptr<TableGrowth> growth;
  if (table->bounds().any()) {
    auto opened = TableGrowth::Open(table->spec(), table->bounds(), &table->lowest_store());
    if (!opened.ok()) return opened.status();
    growth = *std::move(opened);
  }
  StreamRecord record;
  const absl::StatusOr<std::string> kept = table->lowest_store().StreamRecord();
  if (!kept.ok()) return kept.status();
  if (kept->empty()) {
    record.position = record.start = start;
  } else {
    absl::StatusOr<StreamRecord> parsed = StreamRecord::Parse(*kept);
    if (!parsed.ok()) return parsed.status();
    record = *std::move(parsed);
  }
  MutexLock lock(&mutex_);
  Member& member = members_[table.get()];
  member.holders = 1;
  member.following = {table, std::make_shared<const StreamRecord>(std::move(record)),
                      std::move(growth)};
  changed_.NotifyAll();
  return absl::OkStatus();
}

void UpdateFollower::Remove(const EmbeddingTable* table) {
  std::shared_ptr<EmbeddingTable> last;  // goes outside the lock
  MutexLock lock(&mutex_);
  const auto member = members_.find(table);
  if (--member->second.holders > 0) return;
  last = std::move(member->second.following.table);
  members_.erase(member);
  while (in_step_) changed_.Wait(&mutex_);
}

absl::Status UpdateFollower::WaitUntil(const EmbeddingTable* table, const std::string& position,
                                       std::chrono::milliseconds timeout) const {
  const auto deadline = steady_clock::now() + timeout;
  MutexLock lock(&mutex_);
  while (true) {
    const StreamRecord& record = *members_.at(table).following.record;
    if (!source_->IsBefore(record.position, position)) return absl::OkStatus();
    const auto now = steady_clock::now();
    if (now >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(table->spec().Described(), " has updates up to \"", record.position,
                       "\", waited for are those up to \"", position, "\"; the stream is ", state_,
                       error_.empty() ? "" : ": ", error_));
    }
    changed_.WaitFor(&mutex_,
                     std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now) +
                         std::chrono::milliseconds(1));
  }
}

void UpdateFollower::Run() {
  while (true) {
    std::vector<FollowingTable> tables = BeginStep();
    if (tables.empty()) return;
    bool more = false;
    const absl::Status status = CatchExceptions([&] {
      more = Step(tables);
      return absl::OkStatus();
    });
    if (!status.ok()) SetState("failing", status);
    EndStep(std::move(tables));
    if (more) continue;
    MutexLock lock(&mutex_);
    if (!stopping_) changed_.WaitFor(&mutex_, status.ok() ? options_.poll : kRetryPause);
  }
}

std::vector<FollowingTable> UpdateFollower::BeginStep() {
  std::vector<FollowingTable> tables;
  MutexLock lock(&mutex_);
  while (!stopping_) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(not_before_ - steady_clock::now());
    if (members_.empty()) {
      changed_.Wait(&mutex_);
    } else if (left.count() > 0) {
      changed_.WaitFor(&mutex_, left);
    } else {
      break;
    }
  }
  if (stopping_) return tables;
  for (const auto& [table, member] : members_) tables.push_back(member.following);
  in_step_ = true;
  ++steps_;
  return tables;
}

void UpdateFollower::EndStep(std::vector<FollowingTable> tables) {
  tables.clear();  // whoever waits in Remove has the last hold of a table then
  MutexLock lock(&mutex_);
  in_step_ = false;
  changed_.NotifyAll();
}

void UpdateFollower::LeaveLostOnes(std::vector<FollowingTable>* tables) {
  MutexLock lock(&mutex_);
  if (lost_.empty()) return;
  const auto now = steady_clock::now();
  if (now - lost_tried_ > kBetweenLostTries) {
    lost_tried_ = now;
    return;
  }
  tables->erase(std::remove_if(tables->begin(), tables->end(),
                               [&](const FollowingTable& following) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                                 return lost_.count(following.record->position) > 0;
                               }),
                tables->end());
}

bool UpdateFollower::Step(std::vector<FollowingTable> tables) {
  LeaveLostOnes(&tables);
  if (tables.empty()) return false;
  std::string position = tables[0].record->position;
  for (const FollowingTable& following : tables) {
    if (source_->IsBefore(following.record->position, position)) {
      position = following.record->position;
    }
  }
  const absl::StatusOr<std::optional<UpdateSource::Commit>> commit = source_->After(position);
  if (absl::IsDataLoss(commit.status())) {
    MutexLock lock(&mutex_);
    const bool is_new = lost_.emplace(position, std::string(commit.status().message())).second;
    if (is_new) {
      LOG(ERROR) << "updates of deployment \"" << deployment_ << "\": " << commit.status()
                 << ". Tables at this position are not updated any more: load them again";
    }
    return is_new;
  }
  if (!commit.ok()) {
    SetState("unavailable", commit.status());
    return false;
  }
  {
    MutexLock lock(&mutex_);
    lost_.erase(position);
  }
  if (!commit->has_value()) {
    SetState("following", absl::OkStatus());
    MeasureLag(position);
    return false;
  }
  const absl::Status applied = Apply(**commit, tables);
  if (!applied.ok()) {
    // What cannot be written now is tried again, and what comes later waits: the order counts.
    SetState("failing", applied);
    return false;
  }
  SetState("catching up", absl::OkStatus());
  MeasureLag((*commit)->position);
  return true;
}

absl::Status UpdateFollower::Apply(const UpdateSource::Commit& commit,
                                   const std::vector<FollowingTable>& tables) {
  std::vector<bool> is_behind;
  for (const FollowingTable& following : tables) {
    is_behind.push_back(source_->IsBefore(following.record->position, commit.position));
  }
  std::set<std::string> known_tables;
  {
    MutexLock lock(&mutex_);
    known_tables = known_tables_;
  }
  CommitPlan plan(commit, deployment_, known_tables, tables, is_behind);
  const bool is_news = source_->IsBefore(seen_, commit.position);
  if (is_news && !plan.quarantined().empty() && quarantined_position_ != commit.position) {
    quarantined_position_ = commit.position;  // once, however often the rest is tried
    const absl::Status kept = quarantine_.Keep(commit, plan.quarantined());
    LOG(ERROR) << "updates of deployment \"" << deployment_ << "\": commit " << commit.position
               << " is quarantined: " << plan.quarantined()
               << (kept.ok() ? "" : absl::StrCat("; it could not be kept: ", kept.message()));
  }
  if (absl::Status status = plan.BoundGrowth(); !status.ok()) return status;
  if (absl::Status status = ApplyTogether(plan.TakeChanges(), &gate_); !status.ok()) return status;
  plan.Applied();
  if (is_news) seen_ = commit.position;
  if (is_news && plan.counts().gaps > 0) {
    LOG(ERROR) << "updates of deployment \"" << deployment_ << "\": commits of a publisher before "
               << commit.position << " are missing; their rows are as they were";
  }

  const auto now = steady_clock::now();
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < tables.size(); ++i) {
    const auto member = members_.find(tables[i].table.get());
    if (member == members_.end() || !is_behind[i]) continue;
    member->second.following.record = plan.records()[i];
    ++member->second.commits;
  }
  const CommitPlan::Counts& counts = plan.counts();
  counts_.rows += counts.rows;
  counts_.erased += counts.erased;
  if (is_news) {
    counts_.repeated += counts.repeated;
    counts_.gaps += counts.gaps;
    counts_.other_deployment += counts.other_deployment;
    counts_.other_generation += counts.other_generation;
    counts_.quarantined += counts.quarantined;
    if (!plan.quarantined().empty()) quarantine_reason_ = plan.quarantined();
  }
  if (is_news && plan.changed_rows() > 0) visible_after_us_ = NowMicros() - plan.time_us();
  if (options_.max_rows_per_s > 0) {
    not_before_ =
        std::max(not_before_, now) +
        std::chrono::microseconds(plan.changed_rows() * 1000000 / options_.max_rows_per_s);
  }
  changed_.NotifyAll();
  return absl::OkStatus();
}

void UpdateFollower::SetState(const char* state, const absl::Status& error) {
  const std::string message = error.ok() ? "" : std::string(error.message());
  MutexLock lock(&mutex_);
  if (!error.ok() && error_ != message) {
    LOG(ERROR) << "updates of deployment \"" << deployment_ << "\": " << error;
  }
  state_ = state;
  error_ = message;
}

void UpdateFollower::MeasureLag(const std::string& position) {
  const auto now = steady_clock::now();
  if (now - lag_measured_ < kBetweenLags) return;
  lag_measured_ = now;
  const absl::StatusOr<int64_t> lag = source_->CommitsAfter(position);
  std::string exported;
  {
    MutexLock lock(&mutex_);
    exported = exported_;
  }
  absl::StatusOr<int64_t> ahead = int64_t{0};
  if (!exported.empty() && source_->IsBefore(exported, position)) {
    ahead = source_->CommitsAfter(exported);
  }
  MutexLock lock(&mutex_);
  lag_commits_ = lag.ok() ? *lag : -1;
  commits_ahead_ = lag.ok() && ahead.ok() ? std::max<int64_t>(0, *ahead - *lag) : -1;
}

void UpdateFollower::SetExported(const std::string& position) {
  MutexLock lock(&mutex_);
  exported_ = position;
}

nlohmann::json UpdateFollower::Place(const EmbeddingTable* table) const {
  MutexLock lock(&mutex_);
  const StreamRecord& record = *members_.at(table).following.record;
  return {{"position", record.position}, {"time_us", record.time_us}};
}

nlohmann::json UpdateFollower::Stats(const EmbeddingTable* table) const {
  MutexLock lock(&mutex_);
  const Member& member = members_.at(table);
  const StreamRecord& record = *member.following.record;
  const auto lost = lost_.find(record.position);
  const std::string state = lost == lost_.end() ? state_ : "lost";
  const std::string error = lost == lost_.end() ? error_ : lost->second;
  const bool caught_up = state == "following";
  const auto known = [](int64_t count) {
    return count < 0 ? nlohmann::json() : nlohmann::json(count);
  };
  nlohmann::json stats = {
      {"state", state},
      {"position", record.position},
      {"commits", member.commits},
      {"rows", counts_.rows},
      {"erased", counts_.erased},
      {"repeated_commits", counts_.repeated},
      {"gaps", counts_.gaps},
      {"other_deployment_commits", counts_.other_deployment},
      {"other_generation_frames", counts_.other_generation},
      {"quarantined_commits", counts_.quarantined},
      {"lag_commits", caught_up ? nlohmann::json(0) : known(lag_commits_)},
      // Of what came last: how long ago it was committed, while more is to come.
      {"lag_ms", caught_up || record.time_us == 0 ? 0 : (NowMicros() - record.time_us) / 1000},
      {"visible_after_ms", static_cast<double>(visible_after_us_) / 1000},
      {"commits_ahead", known(commits_ahead_)},
      {"lookup_retries", gate_.retries()},
  };
  if (member.following.growth != nullptr) stats["growth"] = member.following.growth->Stats();
  if (!error.empty()) stats["error"] = error;
  if (!quarantine_reason_.empty()) stats["last_quarantine_reason"] = quarantine_reason_;
  return stats;
}

}  // namespace tf_hps
