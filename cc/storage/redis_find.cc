#include "cc/storage/redis_find.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace tf_hps {

// The reply to one partition's MGET.
class RedisFind::Reader : public RedisReplyReader {
 public:
  Reader(RedisFind* find, uint32_t partition, int64_t epoch)
      : find_(*find),
        part_(find->parts_[partition]),
        partition_(find->table_.partition(partition)),
        epoch_(epoch),
        ours_(find->ours_) {}

  void Element(size_t index, absl::string_view bytes) override {
    if (index == 0) {
      Head(bytes);
    } else if (is_usable_ && bytes.data() != nullptr) {
      const uint32_t position = part_.positions[index - 1];
      if (bytes.size() != find_.table_.spec().row_bytes()) {
        error_ = absl::DataLossError(
            absl::StrCat(find_.table_.spec().Described(), ": the row of key ",
                         find_.keys_[position], " in Redis has ", bytes.size(),
                         " bytes, the table's rows have ", find_.table_.spec().row_bytes()));
        return;
      }
      find_.sink_.Put(position, reinterpret_cast<const uint8_t*>(bytes.data()));
      part_.found[index - 1] = 1;
    }
  }

  // Of another epoch than asked for: that one's rows are still to be asked for.
  bool asks_again() const { return asks_again_; }
  bool is_behind() const { return is_behind_; }
  const absl::Status& error() const { return error_; }

 private:
  void Head(absl::string_view bytes) {
    // Again after a retry: what a broken reply said does not count.
    std::fill(part_.found.begin(), part_.found.end(), 0);
    is_usable_ = asks_again_ = is_behind_ = false;
    if (bytes.data() == nullptr) return;
    const std::optional<RedisHead> head = ParseRedisHead(bytes);
    is_behind_ = !head || !ours_ || !(head->state == *ours_);
    if (is_behind_) return;
    is_usable_ = head->epoch == epoch_;
    asks_again_ = !is_usable_;
    if (asks_again_) partition_.epoch.store(head->epoch, std::memory_order_relaxed);
  }

  RedisFind& find_;
  Part& part_;
  RedisTablePartition& partition_;
  const int64_t epoch_;
  const std::optional<RedisState>& ours_;
  bool is_usable_ = false, asks_again_ = false, is_behind_ = false;
  absl::Status error_;
};

std::string RedisFind::Command(const Part& part, const RedisTablePartition& partition,
                               int64_t epoch) const {
  // Written by hand: a batch has thousands of keys, which differ in their last eight bytes.
  std::string prefix = absl::StrCat(partition.key, epoch, ":");
  prefix = absl::StrCat("$", prefix.size() + kRedisKeyBytes, "\r\n", prefix);
  std::string command = absl::StrCat("*", part.positions.size() + 2, "\r\n$4\r\nMGET\r\n$",
                                     partition.key.size(), "\r\n", partition.key, "\r\n");
  command.reserve(command.size() + part.positions.size() * (prefix.size() + kRedisKeyBytes + 2));
  for (const uint32_t position : part.positions) {
    command.append(prefix);
    AppendRedisKeyBytes(keys_[position], &command);
    command.append("\r\n", 2);
  }
  return command;
}

absl::Status RedisFind::Run(RedisDeadline deadline) {
  std::vector<uint32_t> asked;
  for (uint32_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].positions.empty()) continue;
    parts_[i].found.assign(parts_[i].positions.size(), 0);
    asked.push_back(i);
  }
  absl::Status first_error;
  // Twice where the epoch was not known, or has just been raised.
  for (int round = 0; round < 2 && !asked.empty(); ++round) {
    std::vector<Reader> readers;
    readers.reserve(asked.size());
    std::vector<RedisRequest> requests(asked.size());
    for (size_t i = 0; i < asked.size(); ++i) {
      const RedisTablePartition& partition = table_.partition(asked[i]);
      const int64_t epoch = partition.epoch.load(std::memory_order_relaxed);
      readers.emplace_back(this, asked[i], epoch);
      requests[i].slot = partition.slot;
      requests[i].command = Command(parts_[asked[i]], partition, epoch);
      requests[i].reader = &readers[i];
    }
    table_.client().Run(&requests, deadline);
    std::vector<uint32_t> again;
    for (size_t i = 0; i < asked.size(); ++i) {
      first_error.Update(requests[i].status);
      first_error.Update(readers[i].error());
      heads_not_usable_ += readers[i].is_behind();
      if (!requests[i].status.ok()) {
        // Part of a reply may have come.
        std::vector<uint8_t>& found = parts_[asked[i]].found;
        std::fill(found.begin(), found.end(), 0);
      } else if (readers[i].asks_again()) {
        again.push_back(asked[i]);
      }
    }
    asked = std::move(again);
  }
  return first_error;
}

void RedisFind::AppendLeft(std::vector<uint32_t>* left) const {
  const size_t begin = left->size();
  for (const Part& part : parts_) {
    for (size_t i = 0; i < part.positions.size(); ++i) {
      if (part.found[i] == 0) left->push_back(part.positions[i]);
    }
  }
  std::sort(left->begin() + static_cast<std::ptrdiff_t>(begin), left->end());
}

}  // namespace tf_hps
