#include "cc/hierarchy/table_growth.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "cc/common/text_hash.h"

namespace tf_hps {
namespace {

constexpr int64_t kMicros = 1000000;
constexpr std::chrono::seconds kBetweenLogs(10);
constexpr Key kLeastKey = std::numeric_limits<Key>::min();

std::vector<Key> SortedOnce(absl::Span<const Key> keys, absl::Span<const Key> more) {
  std::vector<Key> sorted(keys.begin(), keys.end());
  sorted.insert(sorted.end(), more.begin(), more.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

template <class Vector>
auto FindTouched(Vector& touched, Key key) {
  const auto at = std::lower_bound(touched.begin(), touched.end(), key,
                                   [](const auto& one, Key other) { return one.key < other; });
  return at != touched.end() && at->key == key ? at : touched.end();
}

}  // namespace

absl::StatusOr<std::shared_ptr<TableGrowth>> TableGrowth::Open(const TableSpec& spec,
                                                               const GrowthBounds& bounds,
                                                               EmbeddingStore* store) {
  auto ages = store->OpenRowAges();
  if (!ages.ok()) {
    return absl::Status(
        ages.status().code(),
        absl::StrCat(spec.Described(), " has a `max_rows` or `ttl_s`: ", ages.status().message()));
  }
  std::shared_ptr<TableGrowth> growth(new TableGrowth(spec, bounds, *std::move(ages)));
  if (absl::Status status = growth->ReadState(); !status.ok()) return status;
  return growth;
}

absl::Status TableGrowth::ReadState() {
  const absl::StatusOr<std::string> record = ages_->Record();
  if (!record.ok()) return record.status();
  if (!record->empty()) {
    absl::StatusOr<GrowthState> state = GrowthState::Parse(*record);
    if (!state.ok()) return state.status();
    state_ = *std::move(state);
    if (IsOver(state_)) {
      LOG(WARNING) << "table \"" << name_ << "\" has " << state_.rows << " rows, its `max_rows` is "
                   << bounds_.max_rows
                   << (bounds_.rejects ? ": new ids are rejected until it has fewer"
                                       : ": those updated longest ago leave with the next commits");
    }
  } else {
    state_.rows = state_.loaded = ages_->loaded_rows();
    if (IsOver(state_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("table \"", name_, "\" was loaded with ", state_.rows,
                       " rows, its `max_rows` is ", bounds_.max_rows,
                       ", and none of them was updated longer ago than another. Load fewer rows, "
                       "or raise `max_rows`"));
    }
    if (absl::Status status = ages_->PutRecord(state_.ToJson()); !status.ok()) return status;
  }
  MutexLock lock(&mutex_);
  shown_ = state_;
  return absl::OkStatus();
}

absl::StatusOr<const GrowthDecision*> TableGrowth::Decide(const std::string& position,
                                                          int64_t time_us,
                                                          const UpdateBatch& batch) {
  if (decided_ != nullptr) {
    if (decided_->position == position) return decided_.get();
    // Whether that one was written the store knows.
    decided_.reset();
    if (absl::Status status = ReadState(); !status.ok()) return status;
  }
  auto decision = std::make_unique<GrowthDecision>();
  decision->position = position;
  decision->after = state_;
  BeginInstant(time_us, decision.get());
  absl::StatusOr<std::vector<Touched>> touched = Touch(batch);
  if (!touched.ok()) return touched.status();

  GrowthState& after = decision->after;
  for (const Touched& one : *touched) {
    after.loaded -= one.was == RowAge::kLoaded;
    after.rows += one.is_new();
    after.rows -= !one.stays && one.was != RowAge::kNone;
  }
  decision->erased.assign(batch.erased.begin(), batch.erased.end());
  const size_t at_once = std::max(kLeaveAtOnce, 2 * batch.keys.size());
  absl::Status status = LetGoOfOld(at_once, *touched, decision.get());
  if (!status.ok()) return status;
  if (bounds_.rejects) {
    Reject(batch.keys, &*touched, decision.get());
  } else {
    LetGoOfNew(&*touched, decision.get());
  }
  for (const Touched& one : *touched) {
    const int64_t to = one.stays ? after.clock_us : RowAge::kNone;
    if (one.was != to) decision->ages.moves.push_back({one.key, one.was, to});
  }
  decision->ages.record = after.ToJson();
  decided_ = std::move(decision);
  return decided_.get();
}

void TableGrowth::BeginInstant(int64_t time_us, GrowthDecision* decision) const {
  GrowthState& after = decision->after;
  after.clock_us = std::max(time_us, state_.clock_us + 1);
  if (after.loaded_us == 0) after.loaded_us = after.clock_us;
  if (after.history.empty() || !(after.bounds == bounds_)) {
    after.bounds = bounds_;
    after.history =
        TextHash(absl::StrCat(after.history, "\n", bounds_.max_rows, "\n", bounds_.ttl_s, "\n",
                              bounds_.rejects, "\n", decision->position));
  }
}

absl::StatusOr<std::vector<TableGrowth::Touched>> TableGrowth::Touch(
    const UpdateBatch& batch) const {
  const std::vector<Key> keys = SortedOnce(batch.keys, batch.erased);
  const std::vector<Key> erased = SortedOnce(batch.erased, {});
  std::vector<int64_t> times;
  absl::Status status = ages_->Find(keys, state_.loaded > 0, &times);
  if (!status.ok()) return status;
  std::vector<Touched> touched;
  touched.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const bool stays = !std::binary_search(erased.begin(), erased.end(), keys[i]);
    touched.push_back({keys[i], times[i], stays});
  }
  return touched;
}

absl::Status TableGrowth::LetGoOfOld(size_t at_once, const std::vector<Touched>& touched,
                                     GrowthDecision* decision) const {
  GrowthState& after = decision->after;
  const int64_t expired_before = bounds_.ttl_s > 0 ? after.clock_us - bounds_.ttl_s * kMicros
                                                   : std::numeric_limits<int64_t>::min();
  const bool evicts = !bounds_.rejects;
  if (after.TimeOf(after.oldest) >= expired_before && !(evicts && IsOver(after))) {
    return absl::OkStatus();
  }
  bool is_end = true;
  size_t gone = 0;
  absl::Status status = ages_->VisitFrom(after.oldest, [&](const RowAge& age) {
    if (FindTouched(touched, age.key) != touched.end())
      return true;  // of another age soon, or erased
    const bool is_expired = after.TimeOf(age) < expired_before;
    if (gone == at_once || (!is_expired && !(evicts && IsOver(after)))) {
      after.oldest = age;
      is_end = false;
      return false;
    }
    ++gone;
    --after.rows;
    after.loaded -= age.time_us == RowAge::kLoaded;
    ++(is_expired ? decision->expired : decision->evicted);
    decision->erased.push_back(age.key);
    decision->ages.moves.push_back({age.key, age.time_us, RowAge::kNone});
    return true;
  });
  // Nothing is left but what this commit touched.
  if (status.ok() && is_end) after.oldest = {after.clock_us, kLeastKey};
  return status;
}

// A commit with more rows than the table may have: of equal age, the smaller keys leave first.
void TableGrowth::LetGoOfNew(std::vector<Touched>* touched, GrowthDecision* decision) const {
  GrowthState& after = decision->after;
  if (after.oldest.time_us != after.clock_us) return;  // older ones are left for the next commit
  for (Touched& one : *touched) {
    if (!IsOver(after)) return;
    if (!one.stays) continue;
    one.stays = false;
    --after.rows;
    ++decision->evicted;
    decision->erased.push_back(one.key);
  }
}

// Those that come first in the commit come in while there is room.
void TableGrowth::Reject(absl::Span<const Key> keys, std::vector<Touched>* touched,
                         GrowthDecision* decision) const {
  GrowthState& after = decision->after;
  if (!IsOver(after)) return;
  const auto new_ids =
      std::count_if(touched->begin(), touched->end(), [](const auto& one) { return one.is_new(); });
  const int64_t room = std::max<int64_t>(0, bounds_.max_rows - (after.rows - new_ids));
  std::unordered_set<Key> admitted;
  for (const Key key : keys) {
    const auto one = FindTouched(*touched, key);
    if (!one->is_new() || admitted.count(key) > 0) continue;
    if (static_cast<int64_t>(admitted.size()) < room) {
      admitted.insert(key);
      continue;
    }
    one->stays = false;
    --after.rows;
    decision->rejected.push_back(key);
  }
  std::sort(decision->rejected.begin(), decision->rejected.end());
}

void TableGrowth::Applied() {
  ages_->Apply(decided_->ages);
  if (!decided_->rejected.empty()) LogRejected(*decided_);
  state_ = decided_->after;
  {
    MutexLock lock(&mutex_);
    shown_ = state_;
    expired_ += decided_->expired;
    evicted_ += decided_->evicted;
    rejected_ += static_cast<int64_t>(decided_->rejected.size());
  }
  decided_.reset();
}

void TableGrowth::LogRejected(const GrowthDecision& decision) {
  not_logged_ += static_cast<int64_t>(decision.rejected.size());
  const auto now = std::chrono::steady_clock::now();
  if (logged_.time_since_epoch().count() != 0 && now - logged_ < kBetweenLogs) return;
  logged_ = now;
  LOG(ERROR) << "table \"" << name_ << "\" is full: its `max_rows` is " << bounds_.max_rows
             << " and `when_full` is \"reject\". " << not_logged_
             << " new ids were rejected, the last ones of commit " << decision.position << ", id "
             << decision.rejected.front() << " among them";
  not_logged_ = 0;
}

nlohmann::json TableGrowth::Stats() const {
  MutexLock lock(&mutex_);
  nlohmann::json stats = {{"rows", shown_.rows},
                          {"clock_us", shown_.clock_us},
                          {"expired", expired_},
                          {"evicted", evicted_},
                          {"rejected", rejected_}};
  if (bounds_.max_rows > 0) {
    stats["max_rows"] = bounds_.max_rows;
    stats["when_full"] = bounds_.rejects ? "reject" : "evict_oldest";
  }
  if (bounds_.ttl_s > 0) stats["ttl_s"] = bounds_.ttl_s;
  return stats;
}

}  // namespace tf_hps
