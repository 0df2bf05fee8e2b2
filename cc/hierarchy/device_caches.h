#ifndef TF_HPS_CC_HIERARCHY_DEVICE_CACHES_H_
#define TF_HPS_CC_HIERARCHY_DEVICE_CACHES_H_

#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/device_cache.h"
#include "cc/update/update_batch.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// One table's caches, one a device that ever looked it up. Thread-safe.
class DeviceCaches {
 public:
  DeviceCaches(EmbeddingTable* table, TableConfig config)
      : table_(table), config_(std::move(config)) {}

  // Made by the first call for a device; stays until the table goes.
  absl::StatusOr<DeviceCache*> On(const CacheDevice& device);
  std::vector<DeviceCache*> All() const;

  // See DeviceCache. A cache that is made between the two holds nothing older.
  void BeforeUpdate(const UpdateBatch& batch);
  void Update(const UpdateBatch& batch);
  nlohmann::json Stats() const;

 private:
  EmbeddingTable* const table_;
  const TableConfig config_;
  mutable Mutex mutex_;
  std::map<const void*, std::unique_ptr<DeviceCache>> caches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DEVICE_CACHES_H_
