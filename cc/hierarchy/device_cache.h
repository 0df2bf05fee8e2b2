#ifndef TF_HPS_CC_HIERARCHY_DEVICE_CACHE_H_
#define TF_HPS_CC_HIERARCHY_DEVICE_CACHE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/cache/embedding_cache.h"
#include "cc/common/counter.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/background_fills.h"
#include "cc/hierarchy/device_cache_options.h"
#include "cc/update/update_batch.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

class EmbeddingTable;

// A device as the kernels know it. What is pointed to outlives every table.
struct CacheDevice {
  const void* id = nullptr;  // equal where a cache is shared
  std::string name;          // for messages and stats
  int number = -1;           // CUDA's; -1: the current device
  DeviceMemory* memory = nullptr;
  // The stream of the device's work. Fills and updates of the cache go there too: one stream needs
  // no events, and TensorFlow's memory is free again in its order only.
  CacheStream stream = nullptr;
  // With the device current, or making it so.
  absl::StatusOr<std::unique_ptr<EmbeddingCache>> (*new_cache)(const CacheOptions&, DeviceMemory*,
                                                               CacheStream) = nullptr;
};

// One table's rows on one device, and who keeps them up to date. Thread-safe. Belongs to the table.
class DeviceCache {
 public:
  static absl::StatusOr<std::unique_ptr<DeviceCache>> Create(EmbeddingTable* table,
                                                             const DeviceCacheOptions& options,
                                                             const CacheDevice& device);

  EmbeddingCache* cache() const { return cache_.get(); }
  DeviceMemory* memory() const { return device_.memory; }
  const DeviceCacheOptions& options() const { return options_; }
  const CacheDevice& device() const { return device_; }
  BackgroundFills* background() { return &background_; }

  // `row` in the device's memory, as long as the cache lives. Equal rows have one place.
  absl::StatusOr<const void*> KeepRow(absl::Span<const uint8_t> row);

  // Before each lookup: rows that an update failed to replace are forgotten. An error as long as
  // that fails too: better none than an old row.
  absl::Status Repair();

  // Inside an UpdateStamps::Update, one at a time. Before the stores are written an exact cache
  // forgets the keys: whoever misses here reads the new rows below from now on and must not find
  // the old ones here, or on another device, afterwards. Then the rows that were here come again. A
  // cache that may give out default rows keeps the old ones meanwhile.
  void BeforeUpdate(const UpdateBatch& batch);
  void Update(const UpdateBatch& batch);

  // All keys that are resident, some `keys` at a time; waits for the device. Again where fills
  // moved keys meanwhile, so that one that stays is seen.
  absl::Status ForEachSlice(size_t keys,
                            const std::function<absl::Status(absl::Span<const Key>)>& work);

  // One lookup's keys; default_rows: positions that got the default row instead of their own.
  void CountLookup(size_t keys) const;
  void CountMisses(size_t misses, size_t default_rows) const;
  // Waits for the device.
  nlohmann::json Stats() const;

 private:
  DeviceCache(EmbeddingTable* table, const DeviceCacheOptions& options, const CacheDevice& device);
  absl::Status FetchAndFill(absl::Span<const Key> keys);
  void Forget(absl::Span<const Key> keys, std::vector<Key>* taken);
  void PutBack(const UpdateBatch& batch);
  void Owe(absl::Span<const Key> keys);

  // Constant after Create.
  EmbeddingTable* const table_;
  const DeviceCacheOptions options_;
  const CacheDevice device_;
  std::unique_ptr<EmbeddingCache> cache_;

  std::vector<Key> taken_;  // between BeforeUpdate and Update

  // Synchronize themselves.
  mutable Counter lookups_, keys_, misses_, default_rows_, failed_updates_;
  std::atomic<bool> owes_{false};

  Mutex mutex_;
  std::vector<Key> owed_ ABSL_GUARDED_BY(mutex_);  // to be forgotten
  std::map<std::string, const void*, std::less<>> kept_rows_ ABSL_GUARDED_BY(mutex_);

  BackgroundFills background_;  // ends first
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DEVICE_CACHE_H_
