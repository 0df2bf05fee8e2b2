#ifndef TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_H_
#define TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/cache/embedding_cache.h"
#include "cc/hierarchy/device_cache.h"
#include "cc/hierarchy/missed_rows.h"

namespace tf_hps {

// What a lookup waits for before its next step.
enum class WaitsFor {
  kNothing,  // it is over: its output is written by what the stream holds
  kDevice,   // what its stream holds now
  kStores,   // a thread that may wait
};

// One batch's lookup through a device's cache and the tiers below, as steps that never wait for the
// device. A batch that hits takes two, one with misses three. Not thread-safe.
class DeviceLookup {
 public:
  virtual ~DeviceLookup() = default;
  virtual absl::StatusOr<WaitsFor> Step() = 0;
  // To begin anew with the next step. What was queued stays so: the output is written again after
  // it.
  virtual void Restart() = 0;
};

// Rows to batch.out.
class DeviceRowLookup : public DeviceLookup {
 public:
  // What the batch points to stays until the stream is done with it.
  DeviceRowLookup(EmbeddingTable* table, DeviceCache* cache, const CacheBatch& batch,
                  CacheStream stream);
  absl::StatusOr<WaitsFor> Step() override;
  void Restart() override;

  // A lookup that never waits and was captured into a graph: what the last replay missed comes in
  // the background. After a replay is over and before the next.
  void FillMisses();

 private:
  absl::StatusOr<WaitsFor> Start();
  absl::StatusOr<WaitsFor> Collect();
  absl::StatusOr<WaitsFor> Fetch();

  EmbeddingTable* const table_;
  DeviceCache* const cache_;
  CacheBatch batch_;
  const CacheStream stream_;
  WaitsFor waits_for_ = WaitsFor::kNothing;
  std::unique_ptr<CacheLookup> lookup_;
};

// Bags of rows to batch.out.
class DeviceBagLookup : public DeviceLookup {
 public:
  DeviceBagLookup(EmbeddingTable* table, DeviceCache* cache, const CacheBatch& batch,
                  const CacheBags& bags, CacheStream stream);
  ~DeviceBagLookup() override;
  absl::StatusOr<WaitsFor> Step() override;
  void Restart() override;

 private:
  absl::StatusOr<WaitsFor> Start();
  absl::StatusOr<WaitsFor> Collect();
  // Looks all rows up, side by side, into memory of this lookup.
  absl::StatusOr<WaitsFor> LookUpRows();
  absl::StatusOr<WaitsFor> CombineRows();

  EmbeddingTable* const table_;
  DeviceCache* const cache_;
  const CacheBatch batch_;
  const CacheBags bags_;
  const CacheStream stream_;
  bool started_ = false;
  std::unique_ptr<CacheLookup> lookup_;  // of the bags
  void* rows_memory_ = nullptr;
  std::unique_ptr<DeviceRowLookup> rows_;  // of bags with missing rows
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DEVICE_LOOKUP_H_
