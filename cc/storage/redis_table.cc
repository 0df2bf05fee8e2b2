#include "cc/storage/redis_table.h"

#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace tf_hps {
namespace {

constexpr int64_t kWeek = 7 * 24 * 3600;

// Rows that nobody below keeps have one state: what was written.
const char* const kSole = "sole";
const char* const kLoaded = "loaded";

std::string NewLineage() {
  std::random_device random;
  return absl::StrFormat("local-%08x%08x", random(), random());
}

// Once for each deployment of servers: it may have many tables.
void WarnOfEviction(const std::vector<RedisAddress>& servers, absl::string_view policy) {
  static auto* const mutex = new Mutex;
  static auto* const warned = new std::set<std::vector<RedisAddress>>;
  MutexLock lock(mutex);
  if (!warned->insert(servers).second) return;
  LOG(WARNING) << "Redis at " << servers[0].ToString() << " has maxmemory-policy " << policy
               << ", which evicts the records beside the rows too: lost ones cost a partition's "
                  "rows. Wanted: a volatile-* policy";
}

}  // namespace

RedisTable::RedisTable(TableSpec spec, std::shared_ptr<RedisClient> client)
    : spec_(std::move(spec)),
      client_(std::move(client)),
      id_(RedisTableId(spec_)),
      lineage_(NewLineage()),
      ttl_s_(client_->options().ttl_s >= 0 ? client_->options().ttl_s
             : spec_.is_kept               ? kWeek
                                           : 0) {
  if (!spec_.is_kept) {
    ours_ = {kSole, RedisPosition(0)};
  } else if (!spec_.applied.stream.empty()) {
    ours_ = {spec_.applied.stream, RedisPosition(spec_.applied.number)};
  } else if (spec_.is_updated) {
    is_alone_ = true;
    ours_ = {lineage_, RedisPosition(0)};
  } else {
    ours_ = {kLoaded, RedisPosition(0)};
  }
}

absl::Status RedisTable::Attach(RedisDeadline deadline) {
  if (attached()) return absl::OkStatus();
  {
    MutexLock lock(&mutex_);
    if (!refused_.ok()) return refused_;
    if (attached()) return absl::OkStatus();
    if (attaching_) {
      return absl::UnavailableError("another lookup is about to find the table in Redis");
    }
    attaching_ = true;
  }
  const absl::Status status = ReadRecord(deadline);
  if (status.ok()) ReadPolicy(deadline);
  MutexLock lock(&mutex_);
  attaching_ = false;
  if (absl::IsInvalidArgument(status)) refused_ = status;
  if (status.ok()) attached_.store(true, std::memory_order_release);
  return status;
}

absl::Status RedisTable::ReadRecord(RedisDeadline deadline) {
  const std::string key = RedisRecordKey(id_);
  const int slot = RedisSlot(key);
  const std::string ours = RedisRecord(spec_, client_->options().partitions);
  auto reply = client_->Call(slot, {"SET", key, ours, "NX"}, deadline);
  if (reply.ok()) reply = client_->Call(slot, {"GET", key}, deadline);
  if (!reply.ok()) return reply.status();
  const absl::string_view there =
      (*reply)->type == REDIS_REPLY_STRING ? absl::string_view((*reply)->str, (*reply)->len) : "";
  const std::optional<int> partitions = RedisRecordPartitions(there, spec_);
  if (!partitions) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec_.Described(), ": Redis has under ", key, " the record \"", there,
                     "\". Wanted, with any number of partitions: \"", ours, "\""));
  }
  partitions_.clear();
  bool takes_over = false;
  {
    MutexLock lock(&mutex_);
    takes_over = spec_.is_kept && ours_.lineage != kLoaded;
  }
  for (int i = 0; i < *partitions; ++i) {
    RedisTablePartition& partition = partitions_.emplace_back();
    partition.key = RedisPartitionKey(id_, i);
    partition.slot = RedisSlot(partition.key);
    partition.takes_over = takes_over;
  }
  size_ = *partitions;
  return absl::OkStatus();
}

// Who may not ask is told nothing: the docs say what the policy should be.
void RedisTable::ReadPolicy(RedisDeadline deadline) {
  const auto reply = client_->Call(0, {"INFO", "memory"}, deadline);
  if (!reply.ok() || (*reply)->str == nullptr) return;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view((*reply)->str, (*reply)->len), "\r\n")) {
    const absl::string_view name = "maxmemory_policy:";
    if (!absl::StartsWith(line, name)) continue;
    MutexLock lock(&mutex_);
    maxmemory_policy_ = std::string(line.substr(name.size()));
    if (absl::StartsWith(maxmemory_policy_, "allkeys-")) {
      WarnOfEviction(client_->options().addresses, maxmemory_policy_);
    }
  }
}

std::string RedisTable::maxmemory_policy() const {
  MutexLock lock(&mutex_);
  return maxmemory_policy_;
}

std::optional<RedisState> RedisTable::OurState() const {
  MutexLock lock(&mutex_);
  if (move_) return std::nullopt;
  return ours_;
}

RedisTable::Move RedisTable::BeginUpdate(const UpdatePosition* position) {
  if (!spec_.is_kept) return {{kSole, RedisPosition(0)}, {kSole, RedisPosition(0)}};
  MutexLock lock(&mutex_);
  const bool was_alone = is_alone_;
  is_alone_ = is_alone_ || position == nullptr || position->stream.empty();
  // One that was begun and never ended failed below: the rows are still those before it.
  Move move{move_ ? move_->before : ours_, {}};
  if (!is_alone_) {
    move.after = {position->stream, RedisPosition(position->number)};
  } else {
    if (!move_ || !was_alone) ++own_updates_;
    move.after = {lineage_, RedisPosition(own_updates_)};
  }
  ours_ = move.after;
  move_ = move;
  return move;
}

RedisTable::Move RedisTable::CurrentUpdate(const UpdatePosition* position) {
  {
    MutexLock lock(&mutex_);
    if (move_) return *move_;
  }
  return BeginUpdate(position);
}

void RedisTable::EndUpdate() {
  MutexLock lock(&mutex_);
  move_.reset();
}

}  // namespace tf_hps
