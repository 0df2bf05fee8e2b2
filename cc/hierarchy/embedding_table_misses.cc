// What memory does not have is read from the stores that may wait.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/hierarchy/detached_reads.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/row_promoter.h"
#include "cc/hierarchy/store_preloader.h"
#include "cc/hierarchy/unique_keys.h"

namespace tf_hps {

// Where a distinct key's row was read to.
struct EmbeddingTable::Answer {
  const StoreRead* read = nullptr;  // null: it is not there in time
  uint32_t index = 0;
};

// A lookup's read, which may go on when the lookup has gone.
struct EmbeddingTable::OwnRead {
  OwnRead(EmbeddingTable* table, absl::Span<const Key> keys)
      : part(&table->reads_, keys, StampsRead(&table->stamps_, keys), table->spec_.row_bytes()) {}

  StoreReads::Part part;
  // Why it failed, when it is over. (Not a Status: ThreadSanitizer does not see absl count those
  // who share one.)
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
};

absl::Status EmbeddingTable::FindInStores(absl::Span<const Key> keys, const RowSink& sink,
                                          Pending* pending, MissDeadline* deadline) {
  if (pending->empty()) return absl::OkStatus();
  const StageTimer timer("stores", spec_.name, StageTimer::Measure::kAlways, &stores_latency_);
  const UniqueKeys unique(keys, *pending);
  const auto own = std::make_shared<OwnRead>(this, unique.keys());
  const StoreRead& read = own->part.read();
  const absl::StatusOr<bool> is_there =
      deadline == nullptr ? ReadNow(own.get()) : ReadUntil(own, deadline->at);
  if (!is_there.ok()) return is_there.status();

  std::vector<Answer> answers(unique.size());
  if (*is_there) {
    for (uint32_t i = 0; i < read.keys.size(); ++i) {
      answers[own->part.own_position(i)] = {&read, i};
    }
  }
  // Another lookup's error is not ours: what it failed to read we read, alone.
  std::vector<uint32_t> failed;
  for (const StoreReads::Shared& shared : own->part.shared()) {
    const std::optional<bool> ok = deadline == nullptr
                                       ? reads_.Wait(*shared.read)
                                       : reads_.WaitUntil(*shared.read, deadline->at);
    if (ok == true) answers[shared.wanted] = {shared.read.get(), shared.index};
    if (ok == false && deadline == nullptr) failed.push_back(shared.wanted);
  }
  std::unique_ptr<StoreRead> again;
  if (!failed.empty()) {
    std::sort(failed.begin(), failed.end());
    std::vector<Key> failed_keys;
    for (uint32_t u : failed) failed_keys.push_back(unique.keys()[u]);
    StampsRead stamps(&stamps_, failed_keys);
    again =
        std::make_unique<StoreRead>(std::move(failed_keys), std::move(stamps), spec_.row_bytes());
    if (absl::Status failure = ReadStores(again.get()); !failure.ok()) return failure;
    for (uint32_t i = 0; i < failed.size(); ++i) answers[failed[i]] = {again.get(), i};
  }

  // Updates leave the old row, or none, in a complete tier until the new one is below (Apply). Who
  // missed there before it was complete may have read the new one, and the next lookup would get
  // the old one.
  Pending left = *pending;
  if (WasCompleted()) {
    const EmbeddingStore& memory = *tiers_[memory_tiers_ - 1]->store;
    const bool was_complete = memory.IsComplete();
    if (absl::Status failure = memory.Find(keys, sink, &left); !failure.ok()) return failure;
    if (was_complete && memory.IsComplete()) {
      default_rows_served_.Add(static_cast<int64_t>(left.size()));
      for (size_t i = 0; i < left.size(); ++i) sink.PutDefault(left[i], keys[left[i]]);
      left.Clear();
    }
  }
  for (size_t i = 0, next = 0; i < pending->size() && next < left.size(); ++i) {
    if (left[next] != (*pending)[i]) continue;
    ++next;
    const uint32_t position = (*pending)[i];
    PutAnswer(position, keys[position], answers[unique.index(i)], sink, deadline);
  }
  pending->Clear();
  // What was taken over, its reader promotes; what is read until a deadline, who reads it.
  if (deadline == nullptr) Promote(read);
  if (again != nullptr) Promote(*again);
  return absl::OkStatus();
}

absl::StatusOr<bool> EmbeddingTable::ReadNow(OwnRead* own) const {
  const absl::Status status = ReadStores(&own->part.read());
  own->part.End(status.ok());
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<bool> EmbeddingTable::ReadUntil(const std::shared_ptr<OwnRead>& own,
                                               std::chrono::steady_clock::time_point deadline) {
  if (own->part.read().keys.empty()) return true;
  const bool started = detached_reads_->Start([this, own] {
    const absl::Status status = CatchExceptions([&] { return ReadStores(&own->part.read()); });
    own->code = status.code();
    own->message = std::string(status.message());
    own->part.End(status.ok());
    if (status.ok()) Promote(own->part.read());
  });
  if (!started) {
    own->part.End(false);  // who waits for it reads alone
    return false;
  }
  const std::optional<bool> ok = reads_.WaitUntil(own->part.read(), deadline);
  if (ok == false) return absl::Status(own->code, own->message);
  return ok.has_value();
}

void EmbeddingTable::PutAnswer(uint32_t position, Key key, const Answer& answer,
                               const RowSink& sink, MissDeadline* deadline) const {
  if (answer.read == nullptr) {
    sink.PutDefault(position, key);
    deadline->degraded.push_back(position);
    degraded_rows_.Add(1);
    return;
  }
  const uint8_t tier = answer.read->found_by[answer.index];
  if (tier == StoreRead::kNobody) {
    sink.PutDefault(position, key);
    default_rows_served_.Add(1);
  } else {
    sink.Put(position, answer.read->rows.data() + answer.index * spec_.row_bytes());
  }
  for (size_t t = memory_tiers_; t < tiers_.size() && t < tier; ++t) tiers_[t]->misses.Add(1);
  if (tier != StoreRead::kNobody) tiers_[tier]->hits.Add(1);
}

absl::Status EmbeddingTable::ReadStores(StoreRead* read) const {
  const RowSink sink = RowSink::Raw(read->rows.data(), spec_.row_bytes());
  Pending left = Pending::All(read->keys.size());
  std::string failed_above;
  for (size_t t = memory_tiers_; t < tiers_.size() && !left.empty(); ++t) {
    const Pending asked = left;
    const absl::Status status =
        tiers_[t]->Find(read->keys, sink, spec_.name, StageTimer::Measure::kAlways, &left);
    // A volatile tier that fails is one tier fewer. The persistent store has every row, so without
    // it nobody can say that a key is unknown.
    if (!status.ok() && t + 1 == tiers_.size()) {
      return failed_above.empty()
                 ? status
                 : absl::Status(status.code(), absl::StrCat(status.message(), failed_above));
    }
    if (!status.ok()) absl::StrAppend(&failed_above, "; and before it ", status.message());
    for (size_t i = 0, still = 0; i < asked.size(); ++i) {
      if (still < left.size() && left[still] == asked[i]) {
        ++still;
      } else {
        read->found_by[asked[i]] = static_cast<uint8_t>(t);
      }
    }
  }
  return absl::OkStatus();
}

void EmbeddingTable::Promote(const StoreRead& read) {
  const size_t row_bytes = spec_.row_bytes();
  const std::vector<uint8_t>& found_by = read.found_by;
  // One batch for each tier that rows came from, and one for keys that nobody knew.
  for (size_t source = std::max<size_t>(memory_tiers_, 1); source <= tiers_.size(); ++source) {
    const bool unknown = source == tiers_.size();
    std::vector<uint32_t> positions;
    for (uint32_t u = 0; u < found_by.size(); ++u) {
      if (unknown ? found_by[u] >= tiers_.size() : found_by[u] == source) positions.push_back(u);
    }
    if (positions.empty()) continue;
    PromotionBatch batch;
    for (size_t t = 0; t < std::min(source, tiers_.size() - 1); ++t) {
      batch.destinations.push_back(tiers_[t]->store);
    }
    if (batch.destinations.empty()) continue;
    std::vector<Key>* const carried = unknown ? &batch.absent : &batch.found.keys;
    for (uint32_t u : positions) {
      carried->push_back(read.keys[u]);
      if (unknown) continue;
      const uint8_t* const row = read.rows.data() + u * row_bytes;
      batch.found.rows.insert(batch.found.rows.end(), row, row + row_bytes);
    }
    auto stamps = std::make_unique<StampsRead>(read.stamps.Select(positions));
    (unknown ? batch.absent_stamps : batch.found_stamps) = std::move(stamps);
    promoter_->Promote(std::move(batch));
  }
}

}  // namespace tf_hps
