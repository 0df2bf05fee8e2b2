#include "cc/hierarchy/table_update.h"

#include <algorithm>

#include "cc/hierarchy/device_caches.h"

namespace tf_hps {
namespace {}  // namespace

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
  TakeOut(memory_end(), lowest());
}

void TableUpdate::TakeOutOfMemory() {
  if (!stamps_.has_value()) stamps_.emplace(&table_->stamps_, batch_.keys, batch_.erased);
  table_->device_caches_->BeforeUpdate(batch_);
  TakeOut(0, memory_end());
}

void TableUpdate::TakeOut(size_t begin, size_t end) {
  for (size_t t = begin; t < end; ++t) {
    EmbeddingStore& store = *table_->tiers_[t]->store;
    if (store.IsComplete()) continue;
    store.BeginUpdate(batch_.keys, batch_.erased, position_).IgnoreError();
  }
}

absl::Status TableUpdate::WriteLowest() {
  EmbeddingStore& store = *table_->tiers_[lowest()]->store;
  return store.Update(batch_.keys, batch_.rows, batch_.erased, position_);
}

absl::Status TableUpdate::WriteMemory() {
  const absl::Status status = Write(0, memory_end());
  // What goes wrong on a device is not the update's error: its lookups say so, or read again.
  table_->device_caches_->Update(batch_);
  return status;
}

absl::Status TableUpdate::WriteSharedTiers() { return Write(memory_end(), lowest()); }

absl::Status TableUpdate::Write(size_t begin, size_t end) {
  absl::Status first_error;
  for (size_t t = end; t-- > begin;) {
    EmbeddingStore& store = *table_->tiers_[t]->store;
    const absl::Status status = store.Update(batch_.keys, batch_.rows, batch_.erased, position_);
    if (status.ok()) continue;
    // What is below is new already: better no row here than the old one.
    store.MarkIncomplete();
    store.Erase(batch_.keys).IgnoreError();
    // A store outside of this process that missed an update knows that it did (docs/redis.md).
    if (store.AnswersFromMemory()) first_error.Update(status);
  }
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
      return store.AddTo(commit.get(), change.batch.keys, change.batch.rows, change.batch.erased,
                         change.record);
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
    const CommitGate::Show show(gate);
    for (const auto& update : updates) update->TakeOutOfMemory();
    for (TableUpdate* update : write_alone) first_error.Update(update->WriteLowest());
    for (const auto& commit : commits) commit->Show();
    for (const auto& update : updates) first_error.Update(update->WriteMemory());
  }
  for (const auto& update : updates) first_error.Update(update->WriteSharedTiers());
  return first_error;
}

}  // namespace tf_hps
