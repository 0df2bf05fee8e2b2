#include "cc/hierarchy/embedding_table.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/detached_reads.h"
#include "cc/hierarchy/device_caches.h"
#include "cc/hierarchy/hot_keys.h"
#include "cc/hierarchy/memory_share.h"
#include "cc/hierarchy/row_promoter.h"
#include "cc/hierarchy/store_preloader.h"
#include "cc/hierarchy/table_health.h"
#include "cc/hierarchy/table_update.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {

EmbeddingTable::EmbeddingTable(TableSpec spec, const GrowthBounds& bounds)
    : spec_(std::move(spec)),
      bounds_(bounds),
      gate_(CommitGate::Of(spec_.deployment)),
      key_sampler_(std::make_unique<KeySampler>(&keys_)) {}

// Who writes to the stores, and who reads them, ends before they do.
EmbeddingTable::~EmbeddingTable() {
  device_caches_.reset();
  detached_reads_.reset();
  hot_key_saver_.reset();
  {
    MutexLock lock(&memory_mutex_);
    preloader_.reset();
  }
  promoter_.reset();
}

absl::StatusOr<std::shared_ptr<EmbeddingTable>> EmbeddingTable::Open(
    TableSpec spec, const TableConfig& config,
    const std::vector<std::shared_ptr<EmbeddingTable>>& others) {
  std::shared_ptr<EmbeddingTable> table(new EmbeddingTable(std::move(spec), config.bounds));
  for (const StoreBackend& backend : StoreBackends()) {
    const auto section = config.sections.find(backend.kind);
    if (section == config.sections.end()) continue;
    absl::StatusOr<std::unique_ptr<EmbeddingStore>> store =
        backend.open(table->spec_, section->second);
    if (!store.ok()) return store.status();
    auto tier = std::make_unique<TableTier>();
    tier->store = *std::move(store);
    if (tier->store->AnswersFromMemory()) {
      table->memory_tiers_ = table->tiers_.size() + 1;
      table->preloads_ = table->preloads_ || section->second.value("preload", false);
    }
    table->tiers_.push_back(std::move(tier));
  }
  if (table->tiers_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        table->spec_.Described(),
        " has no tier: its deployment has neither a memory, a redis nor a rocksdb section"));
  }
  table->device_caches_ = std::make_unique<DeviceCaches>(table.get(), config);
  table->promoter_ = std::make_unique<RowPromoter>(table->spec_.row_bytes());
  table->detached_reads_ = std::make_unique<DetachedReads>();
  if (table->memory_tiers_ > 0 && table->memory_tiers_ < table->tiers_.size()) {
    const StoreStats stats = table->tiers_[table->memory_tiers_ - 1]->store->Stats();
    table->memory_capacity_ = stats.capacity_rows;
    table->memory_fixed_bytes_ = stats.fixed_bytes;
  }
  const bool shares = table->memory_capacity_ > 0 && !others.empty();
  if (shares) TakeMemoryShare(table.get(), others);
  if (const auto memory = config.sections.find("memory"); memory != config.sections.end()) {
    table->WarmUp(memory->second, shares);
  }
  table->FillMemory(/*yields=*/shares);
  return table;
}

absl::Status EmbeddingTable::FindInMemory(absl::Span<const Key> keys, const RowSink& sink,
                                          Pending* pending) const {
  keys_.Add(pending->size());
  key_sampler_->Record(keys, *pending);
  for (size_t t = 0; t < memory_tiers_ && !pending->empty(); ++t) {
    const TableTier& tier = *tiers_[t];
    const bool is_last = t + 1 == tiers_.size();
    // Asked before and after: a row may be preloaded, or evicted, between Find and the question.
    const bool ends_here = is_last || tier.store->IsComplete();
    const size_t asked = pending->size();
    const size_t absent = pending->absent();
    absl::Status status = tier.Find(keys, sink, spec_.name, StageTimer::Measure::kSampled, pending);
    if (!status.ok()) return status;
    const size_t marked_absent = pending->absent() - absent;
    tier.hits.Add(asked - pending->size() - marked_absent);
    tier.misses.Add(pending->size() + marked_absent);
    default_rows_served_.Add(marked_absent);
    if (ends_here && (is_last || tier.store->IsComplete())) {
      default_rows_served_.Add(pending->size());
      for (size_t i = 0; i < pending->size(); ++i) {
        sink.PutDefault((*pending)[i], keys[(*pending)[i]]);
      }
      pending->Clear();
    }
  }
  return absl::OkStatus();
}

bool EmbeddingTable::WaitsForStores() const {
  if (memory_tiers_ == tiers_.size()) return false;
  if (preloader() == nullptr) return true;
  const int64_t capacity = tiers_[memory_tiers_ - 1]->store->Stats().capacity_rows;
  return capacity != 0 && capacity < spec_.rows;
}

absl::Status EmbeddingTable::Find(absl::Span<const Key> keys, const RowSink& sink) {
  CountLookup();
  return ReadOneCommit(gate_, [&](const CommitGate::Moment& moment) {
    Pending pending = Pending::All(keys.size());
    absl::Status status = FindInMemory(keys, sink, &pending);
    if (status.ok()) status = FindInStores(keys, sink, &pending);
    moment.Put(this, keys, sink);
    return status;
  });
}

absl::Status EmbeddingTable::FindRaw(absl::Span<const Key> keys, uint8_t* rows, bool* found) const {
  const std::vector<uint8_t> zeros(spec_.row_bytes());
  RowSink sink = RowSink::Raw(rows, spec_.row_bytes());
  sink.default_row = zeros.data();
  std::fill_n(found, keys.size(), false);
  // Tiers may forget rows, not invent them: the lowest one knows what is stored.
  Pending pending = Pending::All(keys.size());
  if (absl::Status status = tiers_.back()->store->Find(keys, sink, &pending); !status.ok()) {
    return status;
  }
  std::fill_n(found, keys.size(), true);
  for (size_t i = 0; i < pending.size(); ++i) {
    found[pending[i]] = false;
    sink.PutDefault(pending[i], keys[pending[i]]);
  }
  return absl::OkStatus();
}

absl::Status EmbeddingTable::CheckRows(const UpdateBatch& batch) const {
  if (batch.keys.empty() || batch.rows.row_bytes() == spec_.row_bytes()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(spec_.Described(), ": rows have ", batch.rows.row_bytes(),
                   " bytes, the table stores ", spec_.row_bytes(), " (embedding_dim ",
                   spec_.embedding_dim, ", ", RowFormatName(spec_.row_format), ")"));
}

absl::Status EmbeddingTable::Apply(const UpdateBatch& batch) {
  if (bounds_.any()) {
    return absl::FailedPreconditionError(
        absl::StrCat(spec_.Described(),
                     " has a `max_rows` or `ttl_s`: its rows come and go by the stream that it "
                     "follows, and nobody else inserts or erases them"));
  }
  if (absl::Status status = CheckRows(batch); !status.ok()) return status;
  TableUpdate update(this, batch);
  update.TakeOutOfSharedTiers();
  update.TakeOutOfMemory();
  if (absl::Status status = update.WriteLowest(); !status.ok()) return status;
  absl::Status first_error = update.WriteSharedTiers();
  first_error.Update(update.WriteMemory());
  return first_error;
}

std::vector<const EmbeddingStore*> EmbeddingTable::Stores() const {
  std::vector<const EmbeddingStore*> stores;
  for (const std::unique_ptr<TableTier>& tier : tiers_) stores.push_back(tier->store.get());
  return stores;
}

absl::StatusOr<DeviceCache*> EmbeddingTable::CacheOn(const CacheDevice& device) {
  return device_caches_->On(device);
}

absl::StatusOr<std::unique_ptr<RowScanner>> EmbeddingTable::NewScanner(Key first, Key last) const {
  return tiers_.back()->store->NewScanner(first, last);
}

int64_t EmbeddingTable::Rows(bool* exact) const {
  // A complete memory store counts exactly what a store on disk can only estimate after updates.
  const EmbeddingStore& top = *tiers_.front()->store;
  const StoreStats stats = top.IsComplete() ? top.Stats() : tiers_.back()->store->Stats();
  *exact = stats.rows_exact;
  return stats.rows;
}

absl::Status EmbeddingTable::WaitForPreload() const {
  const std::shared_ptr<StorePreloader> preloader = this->preloader();
  return preloader == nullptr ? absl::OkStatus() : preloader->Wait();
}

void EmbeddingTable::WaitForPromotions() const { promoter_->Wait(); }

int64_t EmbeddingTable::MemoryBytes() const {
  int64_t bytes = 0;
  for (size_t t = 0; t < memory_tiers_; ++t) bytes += tiers_[t]->store->Stats().bytes;
  return bytes;
}

nlohmann::json EmbeddingTable::Stats() const {
  bool exact = false;
  const int64_t rows = Rows(&exact);
  nlohmann::json stats = {
      {"deployment", spec_.deployment},
      {"table", spec_.name},
      {"generation", spec_.generation},
      {"embedding_dim", spec_.embedding_dim},
      {"row_format", RowFormatName(spec_.row_format)},
      {"row_bytes", spec_.row_bytes()},
      {"rows", rows},
      {"rows_exact", exact},
      {"lookups", lookups_.Get()},
      {"keys", keys_.Get()},
      {"default_rows", default_rows_served_.Get()},
      {"degraded_rows", degraded_rows_.Get()},
      {"shared_reads", reads_.keys_shared()},
      {"stores_latency", stores_latency_.ToJson()},
      {"hit_rate_curve", key_sampler_->Stats()},
      {"promotion",
       {{"rows", promoter_->rows_promoted()},
        {"dropped", promoter_->rows_dropped()},
        {"queued_bytes", promoter_->queued_bytes()}}},
  };
  nlohmann::json& tiers = stats["tiers"] = nlohmann::json::array();
  for (const std::unique_ptr<TableTier>& tier : tiers_) {
    tiers.push_back(tier->Stats());
  }
  stats["devices"] = device_caches_->Stats();
  if (const std::shared_ptr<StorePreloader> preloader = this->preloader(); preloader != nullptr) {
    const bool done = preloader->done();
    const absl::Status status = done ? preloader->Wait() : absl::OkStatus();
    stats["preload"] = {{"state", !done         ? "running"
                                  : status.ok() ? "done"
                                                : "failed"},
                        {"rows", preloader->rows_loaded()}};
    if (!status.ok()) stats["preload"]["error"] = status.ToString();
  }
  stats["health"] = TableHealthName(HealthOf(stats));
  return stats;
}

}  // namespace tf_hps
