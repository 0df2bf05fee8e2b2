#include "cc/hierarchy/table_update.h"

#include <algorithm>

#include "cc/hierarchy/device_caches.h"

namespace tf_hps {
namespace {

absl::Status ApplyTo(EmbeddingStore* store, const UpdateBatch& batch) {
  if (!batch.keys.empty()) {
    if (absl::Status status = store->Insert(batch.keys, batch.rows, {}); !status.ok())
      return status;
  }
  return batch.erased.empty() ? absl::OkStatus() : store->Erase(batch.erased);
}

// Null where lookups shall wait.
std::shared_ptr<const CommitOverlay> OverlayOf(const std::vector<TableChange>& changes) {
  const auto fits = [](const TableChange& change) { return CommitOverlay::Fits(change.batch); };
  if (!std::all_of(changes.begin(), changes.end(), fits)) return nullptr;
  auto overlay = std::make_shared<CommitOverlay>();
  for (const TableChange& change : changes) {
    if (change.has_rows()) overlay->Add(change.table, change.batch);
  }
  return overlay;
}

}  // namespace

TableUpdate::TableUpdate(EmbeddingTable* table, const UpdateBatch& batch,
                         const UpdatePosition* position) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : table_(table),
      batch_(batch),
      position_(position) {
  table_->apply_mutex_.Lock();
}

TableUpdate::~TableUpdate() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  stamps_.reset();
  table_->apply_mutex_.Unlock();
}

size_t TableUpdate::memory_end() const { return std::min(table_->memory_tiers_, lowest()); }

void TableUpdate::TakeOutOfSharedTiers() {
  if (memory_end() == lowest()) return;
  stamps_.emplace(&table_->stamps_, batch_.keys, batch_.erased);
  for (size_t t = memory_end(); t < lowest(); ++t) {
    table_->tiers_[t]->store->BeginUpdate(batch_.keys, batch_.erased, position_).IgnoreError();
  }
}

void TableUpdate::TakeOutOfMemory() {
  if (!stamps_.has_value()) stamps_.emplace(&table_->stamps_, batch_.keys, batch_.erased);
  table_->device_caches_->BeforeUpdate(batch_);
  for (size_t t = 0; t < memory_end(); ++t) {
    EmbeddingStore& store = *table_->tiers_[t]->store;
    if (store.IsComplete()) continue;
    store.Erase(batch_.keys).IgnoreError();
    store.Erase(batch_.erased).IgnoreError();
  }
}

absl::Status TableUpdate::WriteLowest() {
  return ApplyTo(table_->tiers_[lowest()]->store.get(), batch_);
}

absl::Status TableUpdate::WriteSharedTiers() {
  // A store outside of this process that missed an update knows that it did (docs/redis.md), and
  // counts it.
  for (size_t t = lowest(); t-- > memory_end();) {
    EmbeddingStore& store = *table_->tiers_[t]->store;
    store.Update(batch_.keys, batch_.rows, batch_.erased, position_).IgnoreError();
  }
  return absl::OkStatus();
}

absl::Status TableUpdate::WriteMemory() {
  absl::Status first_error;
  for (size_t t = memory_end(); t-- > 0;) {
    EmbeddingStore& store = *table_->tiers_[t]->store;
    const absl::Status status = ApplyTo(&store, batch_);
    if (status.ok()) continue;
    // What is below is new already: better no row here than the old one.
    store.MarkIncomplete();
    store.Erase(batch_.keys).IgnoreError();
    first_error.Update(status);
  }
  // What goes wrong on a device is not the update's error: its lookups say so, or read again.
  table_->device_caches_->Update(batch_);
  return first_error;
}

absl::Status ApplyTogether(std::vector<TableChange> changes, CommitGate* gate) {
  for (const TableChange& change : changes) {
    if (absl::Status status = change.table->CheckRows(change.batch); !status.ok()) return status;
  }
  // Everybody who holds several tables' locks took them in this order.
  std::sort(changes.begin(), changes.end(),
            [](const TableChange& a, const TableChange& b) { return a.table < b.table; });

  std::vector<std::unique_ptr<TableUpdate>> updates;
  std::vector<std::unique_ptr<StoreCommit>> commits;
  std::vector<TableUpdate*> write_alone;
  for (const TableChange& change : changes) {
    TableUpdate* update = nullptr;
    if (change.has_rows()) {
      updates.push_back(
          std::make_unique<TableUpdate>(change.table, change.batch, &change.position));
      update = updates.back().get();
      update->TakeOutOfSharedTiers();
    }
    EmbeddingStore& store = change.table->lowest_store();
    const auto add_to = [&](const std::unique_ptr<StoreCommit>& commit) {
      return store.AddTo(commit.get(), {change.batch.keys, change.batch.rows, change.batch.erased,
                                        change.record, change.position, change.ages});
    };
    if (std::any_of(commits.begin(), commits.end(), add_to)) continue;
    if (std::unique_ptr<StoreCommit> commit = store.NewCommit(); commit != nullptr) {
      add_to(commit);
      commits.push_back(std::move(commit));
    } else if (update != nullptr) {
      write_alone.push_back(update);
    }
  }
  for (const std::unique_ptr<StoreCommit>& commit : commits) {
    if (absl::Status status = commit->Write(); !status.ok()) return status;
  }
  if (updates.empty()) return absl::OkStatus();

  absl::Status first_error;
  {
    const CommitGate::Show show(gate, OverlayOf(changes));
    for (const auto& update : updates) update->TakeOutOfMemory();
    for (TableUpdate* update : write_alone) first_error.Update(update->WriteLowest());
    for (const auto& commit : commits) commit->Show();
    for (const auto& update : updates) first_error.Update(update->WriteMemory());
  }
  for (const auto& update : updates) first_error.Update(update->WriteSharedTiers());
  return first_error;
}

}  // namespace tf_hps
