#ifndef TF_HPS_CC_HIERARCHY_EMBEDDING_TABLE_H_
#define TF_HPS_CC_HIERARCHY_EMBEDDING_TABLE_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/config.h"
#include "cc/common/counter.h"
#include "cc/common/latency_histogram.h"
#include "cc/common/mutex.h"
#include "cc/common/rows.h"
#include "cc/common/table_spec.h"
#include "cc/common/update_stamps.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/key_sampler.h"
#include "cc/hierarchy/miss_deadline.h"
#include "cc/hierarchy/store_reads.h"
#include "cc/hierarchy/table_tier.h"
#include "cc/storage/embedding_store.h"
#include "cc/update/update_batch.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

class DeviceCache;
class DetachedReads;
class DeviceCaches;
class HotKeySaver;
class RowPromoter;
class StorePreloader;
struct CacheDevice;

// One table's tiers, and who is asked next and told later. Thread-safe. Had from the TableRegistry,
// which lets SavedModels with equal content share one, behind a TableHandle for each of them.
//
// A lookup goes down once: FindInMemory on the caller's thread (any number of calls for parts of a
// batch, in parallel), then, where positions are left, FindInStores on a thread that may wait.
class EmbeddingTable {
 public:
  // `others`: open tables with which it shares the memory of its tier (memory_share.h).
  static absl::StatusOr<std::shared_ptr<EmbeddingTable>> Open(
      TableSpec spec, const TableConfig& config,
      const std::vector<std::shared_ptr<EmbeddingTable>>& others = {});
  ~EmbeddingTable();

  const TableSpec& spec() const { return spec_; }
  const GrowthBounds& bounds() const { return bounds_; }

  // Once a lookup, which may come as several calls of the next two.
  void CountLookup() const { lookups_.Add(1); }

  // Answers what tiers in this process's memory know; never waits. What stays in *pending must go
  // to FindInStores. Nothing does when the last of these tiers is complete.
  absl::Status FindInMemory(absl::Span<const Key> keys, const RowSink& sink,
                            Pending* pending) const;

  // Answers the rest from the tiers that may wait, default rows for unknown keys included, and
  // queues the rows found for promotion. *pending is empty after OK. Rows that another lookup is
  // reading are waited for, not read again (store_reads.h).
  // With a deadline those that are not read by then are default rows, and go to memory later.
  absl::Status FindInStores(absl::Span<const Key> keys, const RowSink& sink, Pending* pending,
                            MissDeadline* deadline = nullptr);

  // Whether some rows will never be in memory, so that lookups go on waiting for the stores.
  bool WaitsForStores() const;

  // Both, on this thread.
  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink);
  // Raw stored rows: `rows` gets keys.size() * row_bytes, found[i] whether keys[i] is stored (rows
  // of unknown keys are zeros). Counts in no statistics and promotes nothing.
  absl::Status FindRaw(absl::Span<const Key> keys, uint8_t* rows, bool* found) const;

  // Lowest tier first, so that no tier holds a row that a restart would lose. FailedPrecondition,
  // and nothing written, when the persistent store is read-only, or the table's growth is bounded:
  // its rows come by its stream.
  absl::Status Apply(const UpdateBatch& batch);

  // The table's cache on a device, made by the first call (device_cache.h). It stays as long as the
  // table.
  absl::StatusOr<DeviceCache*> CacheOn(const CacheDevice& device);
  // Before a source tier is asked for rows that a cache is to keep.
  StampsRead ReadStamps(absl::Span<const Key> keys) const { return StampsRead(&stamps_, keys); }

  // Reads every row that a device's cache or a tier in memory holds from the lowest tier again, a
  // slice at a time, for a store that was changed from outside. Lookups and updates go on.
  absl::Status Refresh();
  // For updates of several tables: see table_update.h.
  absl::Status CheckRows(const UpdateBatch& batch) const;
  EmbeddingStore& lowest_store() { return *tiers_.back()->store; }
  // In the order asked.
  std::vector<const EmbeddingStore*> Stores() const;
  // Lookups that are to see one commit of the deployment ask it.
  const CommitGate& gate() const { return gate_; }

  // All rows, from the lowest tier.
  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const;

  // Rows of the table and whether the count is exact.
  int64_t Rows(bool* exact) const;

  // Waits until the preload is over; its status. OK at once where there is none.
  absl::Status WaitForPreload() const;
  // Waits until everything queued for promotion so far was promoted or dropped (for tests).
  void WaitForPromotions() const;

  // Up to `n` of the keys that are asked for most, the hottest first.
  std::vector<Key> HotKeys(size_t n) const { return tiers_[0]->store->HotKeys(n); }
  // Of this process's memory.
  int64_t MemoryBytes() const;
  int64_t lookups() const { return lookups_.Get(); }

  // How many rows its tier in memory may have at the most; 0 where none is bounded above a store
  // that has all rows. The next four are for tables where it is not.
  int64_t memory_capacity() const { return memory_capacity_; }
  // Of it when `generations` share what one of them may have, indices included: a number of rows.
  int64_t MemoryShare(size_t generations) const;
  // To so many rows: the coldest leave. With all of memory_capacity() counting ends.
  absl::Status LimitMemory(int64_t rows);
  int64_t memory_limit() const;
  // Counts what is asked for from now on, unless it does so already; since when it does.
  std::chrono::steady_clock::time_point CountUses();
  // Brings rows of these keys into memory, as many as there is room for; the first ones first.
  absl::Status LoadRows(std::vector<Key> keys);
  // Preloads again, where the configuration says so: there is room for more rows. `yields`: to
  // the lookups of a server that answers already.
  void FillMemory(bool yields);

  // Everything counted: see docs/operations.md.
  nlohmann::json Stats() const;

 private:
  friend class TableUpdate;

  EmbeddingTable(TableSpec spec, const GrowthBounds& bounds);
  // Brings the rows of the hot keys into memory before anybody looks up, and saves the keys from
  // then on (table_warmup.cc).
  void WarmUp(const nlohmann::json& memory_options, bool has_rows);
  std::shared_ptr<StorePreloader> preloader() const {
    MutexLock lock(&memory_mutex_);
    return preloader_;
  }
  // Whether the tier in memory ever was complete, be it so still or not.
  bool WasCompleted() const;
  absl::Status RefreshKeys(absl::Span<const Key> keys);
  struct Answer;
  struct OwnRead;
  // Whether the read is over; its error where it failed.
  absl::StatusOr<bool> ReadNow(OwnRead* own) const;
  absl::StatusOr<bool> ReadUntil(const std::shared_ptr<OwnRead>& own,
                                 std::chrono::steady_clock::time_point deadline);
  void PutAnswer(uint32_t position, Key key, const Answer& answer, const RowSink& sink,
                 MissDeadline* deadline) const;
  // Asks the tiers that may wait.
  absl::Status ReadStores(StoreRead* read) const;
  // Queues what was found for the tiers above the one that had it, and what nobody knew for all.
  void Promote(const StoreRead& read);

  // Constant after Open.
  const TableSpec spec_;
  const GrowthBounds bounds_;
  const CommitGate& gate_;
  std::vector<std::unique_ptr<TableTier>> tiers_;  // in the order asked
  size_t memory_tiers_ = 0;                        // the first so many answer from memory
  int64_t memory_capacity_ = 0;
  int64_t memory_fixed_bytes_ = 0;
  bool preloads_ = false;

  // Synchronize themselves.
  UpdateStamps stamps_;
  StoreReads reads_;
  mutable Counter lookups_, keys_, default_rows_served_, degraded_rows_;
  const std::unique_ptr<KeySampler> key_sampler_;  // of keys_
  LatencyHistogram stores_latency_;                // of FindInStores
  std::unique_ptr<RowPromoter> promoter_;
  std::unique_ptr<HotKeySaver> hot_key_saver_;
  std::unique_ptr<DetachedReads> detached_reads_;

  mutable Mutex memory_mutex_;
  std::shared_ptr<StorePreloader> preloader_ ABSL_GUARDED_BY(memory_mutex_);
  bool was_completed_ ABSL_GUARDED_BY(memory_mutex_) = false;  // by a preloader before that one
  std::optional<std::chrono::steady_clock::time_point> counting_since_
      ABSL_GUARDED_BY(memory_mutex_);

  // Serializes Apply: two updates of one key reach all tiers in the same order.
  Mutex apply_mutex_;

  std::unique_ptr<DeviceCaches> device_caches_;  // synchronizes itself
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_EMBEDDING_TABLE_H_
