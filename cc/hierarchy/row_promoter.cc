#include "cc/hierarchy/row_promoter.h"

#include <utility>

#include "absl/status/status.h"
#include "cc/common/thread_pool.h"

namespace tf_hps {
namespace {

// Per table. A queue of this size is seconds of work for one thread; what would wait longer is
// better fetched again by the lookup that needs it.
constexpr size_t kMaxQueuedBytes = 64 << 20;

// One thread for all tables: inserts run at memory speed, lookups at the speed of a disk.
ThreadPool& PromotionPool() {
  static auto* const pool = new ThreadPool("hps-promote", 1);
  return *pool;
}

}  // namespace

void RowPromoter::Promote(PromotionBatch batch) {
  const size_t bytes =
      batch.found.size() * (row_bytes_ + sizeof(Key)) + batch.absent.size() * sizeof(Key);
  {
    MutexLock lock(&mutex_);
    if (queued_bytes_ != 0 && queued_bytes_ + bytes > kMaxQueuedBytes) {
      rows_dropped_.Add(batch.found.size());
      return;
    }
    queued_bytes_ += bytes;
    ++queued_batches_;
  }
  // std::function copies what it holds.
  auto shared = std::make_shared<PromotionBatch>(std::move(batch));
  PromotionPool().Schedule([this, shared = std::move(shared), bytes]() mutable {
    Store(*shared);
    shared.reset();  // before Wait() returns: the destinations belong to a table that waits for us
    MutexLock lock(&mutex_);
    queued_bytes_ -= bytes;
    --queued_batches_;
    batch_done_.NotifyAll();
  });
}

void RowPromoter::Store(const PromotionBatch& batch) {
  for (const std::shared_ptr<EmbeddingStore>& store : batch.destinations) {
    if (batch.found.size() != 0) {
      std::vector<uint32_t> refused;
      InsertOptions options;
      options.existing = OnExisting::kKeep;
      options.stamps = batch.found_stamps.get();
      options.refused = &refused;
      const absl::Status status =
          store->Insert(batch.found.keys, RowsView(batch.found.rows.data(), row_bytes_), options);
      const int64_t promoted = status.ok() ? batch.found.size() - refused.size() : 0;
      rows_promoted_.Add(promoted);
      rows_dropped_.Add(batch.found.size() - promoted);
    }
    if (!batch.absent.empty()) store->MarkAbsent(batch.absent, *batch.absent_stamps);
  }
}

void RowPromoter::Wait() const {
  MutexLock lock(&mutex_);
  while (queued_batches_ != 0) batch_done_.Wait(&mutex_);
}

int64_t RowPromoter::queued_bytes() const {
  MutexLock lock(&mutex_);
  return queued_bytes_;
}

}  // namespace tf_hps
