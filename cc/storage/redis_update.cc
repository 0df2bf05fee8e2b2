#include "cc/storage/redis_update.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"

namespace tf_hps {
namespace {

// Of one call of the script, which nobody else's command can interrupt.
constexpr size_t kChunkBytes = size_t{256} << 10;
constexpr size_t kChunkKeys = 1024;

class VerdictReader : public RedisReplyReader {
 public:
  void Element(size_t index, absl::string_view bytes) override {
    if (index == 0 && !absl::SimpleAtoi(bytes, &epoch)) epoch = 0;
    if (index != 1) return;
    verdict = bytes == "written"   ? RedisVerdict::kWritten
              : bytes == "refused" ? RedisVerdict::kRefused
                                   : RedisVerdict::kAlreadyThere;
  }
  int64_t epoch = 0;
  RedisVerdict verdict = RedisVerdict::kRefused;
};

}  // namespace

std::vector<RedisUpdate::Part> RedisUpdate::Partitioned() const {
  std::vector<Part> parts(table_.size());
  for (uint32_t i = 0; i < keys_.size(); ++i) {
    parts[table_.PartitionOf(keys_[i])].puts.push_back(i);
  }
  for (uint32_t i = 0; i < erased_.size(); ++i) {
    parts[table_.PartitionOf(erased_[i])].erases.push_back(i);
  }
  return parts;
}

bool RedisUpdate::IsRefused(uint32_t i) {
  if (options_.stamps == nullptr || !options_.stamps->Moved(i, keys_[i])) return false;
  if (options_.refused != nullptr) options_.refused->push_back(i);
  ++rows_refused_;
  return true;
}

absl::Status RedisUpdate::Promote() {
  std::vector<Part> parts = Partitioned();
  // The state first, then the stamps: rows that an update has not passed by then are of this state,
  // and a later state of the partition refuses them.
  const std::optional<RedisState> ours = table_.OurState();
  for (Part& part : parts) {
    if (!ours) {
      Refuse(part, 0, part.size());
      continue;
    }
    part.before = part.after = *ours;
    part.puts.erase(std::remove_if(part.puts.begin(), part.puts.end(),
                                   [&](uint32_t i) { return IsRefused(i); }),
                    part.puts.end());
    part.is_sent = part.size() > 0;
  }
  const absl::Status status = Send(parts);
  if (options_.refused != nullptr) std::sort(options_.refused->begin(), options_.refused->end());
  return status;
}

absl::Status RedisUpdate::Apply() {
  const RedisTable::Move move = table_.CurrentUpdate(position_);
  std::vector<Part> parts = Partitioned();
  for (Part& part : parts) {
    part.puts.erase(std::remove_if(part.puts.begin(), part.puts.end(),
                                   [&](uint32_t i) { return IsRefused(i); }),
                    part.puts.end());
    part.before = move.before;
    part.after = move.after;
    // A table's state is that of all its partitions: also where this update changes nothing.
    part.is_sent = part.size() > 0 || !(move.before == move.after);
  }
  const absl::Status status = Send(parts);
  table_.EndUpdate();
  if (options_.refused != nullptr) std::sort(options_.refused->begin(), options_.refused->end());
  return status;
}

RedisWrite RedisUpdate::PartOfWrite(const RedisTablePartition& partition, const Part& part,
                                    size_t begin, size_t end) const {
  RedisWrite write;
  write.partition_key = partition.key;
  write.before = part.before;
  write.after = part.after;
  write.is_promotion = options_.existing == OnExisting::kKeep;
  write.takes_over = partition.takes_over.load();
  write.is_last = end >= part.size();
  write.ttl_s = table_.ttl_s();
  for (size_t i = begin; i < end; ++i) {
    if (i < part.puts.size()) {
      const uint32_t put = part.puts[i];
      write.keys.push_back(keys_[put]);
      write.rows.emplace_back(reinterpret_cast<const char*>(rows_.row(put)), rows_.row_bytes());
    } else {
      write.erased.push_back(erased_[part.erases[i - part.puts.size()]]);
    }
  }
  return write;
}

absl::Status RedisUpdate::Send(const std::vector<Part>& parts) {
  const size_t chunk =
      std::clamp<size_t>(kChunkBytes / std::max<size_t>(1, rows_.row_bytes()), 1, kChunkKeys);
  absl::Status first_error;
  // One part of each partition at a time: with equal keys the last one counts, so that a retry must
  // not pass the next part.
  bool is_more = true;
  for (size_t begin = 0; is_more; begin += chunk) {
    is_more = false;
    std::vector<uint32_t> sent;
    for (uint32_t p = 0; p < parts.size(); ++p) {
      if (parts[p].is_sent && (begin == 0 || begin < parts[p].size())) sent.push_back(p);
      is_more = is_more || (parts[p].is_sent && begin + chunk < parts[p].size());
    }
    std::vector<VerdictReader> readers(sent.size());
    std::vector<RedisRequest> requests(sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      const RedisTablePartition& partition = table_.partition(sent[i]);
      const Part& part = parts[sent[i]];
      const size_t end = std::min(begin + chunk, part.size());
      requests[i].slot = partition.slot;
      requests[i].command = RedisWriteCommand(PartOfWrite(partition, part, begin, end));
      requests[i].reader = &readers[i];
      requests[i].script = RedisWriteScript();
    }
    table_.client().Run(&requests, table_.client().NewDeadline());
    for (size_t i = 0; i < sent.size(); ++i) {
      RedisTablePartition& partition = table_.partition(sent[i]);
      const Part& part = parts[sent[i]];
      const size_t end = std::min(begin + chunk, part.size());
      first_error.Update(requests[i].status);
      if (!requests[i].status.ok()) continue;
      if (readers[i].epoch != 0) partition.epoch.store(readers[i].epoch);
      if (readers[i].verdict == RedisVerdict::kRefused) {
        Refuse(part, begin, end);
        continue;
      }
      partition.takes_over.store(false);
      rows_written_ +=
          static_cast<int64_t>(std::min(end, part.puts.size()) - std::min(begin, part.puts.size()));
    }
    if (!first_error.ok()) return first_error;
  }
  return absl::OkStatus();
}

void RedisUpdate::Refuse(const Part& part, size_t begin, size_t end) {
  for (size_t i = begin; i < std::min(end, part.puts.size()); ++i) {
    if (options_.refused != nullptr) options_.refused->push_back(part.puts[i]);
    ++rows_refused_;
  }
}

}  // namespace tf_hps
