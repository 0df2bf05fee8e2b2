#include "cc/hierarchy/device_caches.h"

#include <utility>

#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {

absl::StatusOr<DeviceCache*> DeviceCaches::On(const CacheDevice& device) {
  MutexLock lock(&mutex_);
  std::unique_ptr<DeviceCache>& cache = caches_[device.id];
  if (cache != nullptr) return cache.get();
  bool exact = false;
  const int64_t rows = table_->Rows(&exact);
  absl::StatusOr<std::unique_ptr<DeviceCache>> created = DeviceCache::Create(
      table_, ReadDeviceCacheOptions(table_->spec(), config_, exact ? rows : 0), device);
  if (!created.ok()) {
    caches_.erase(device.id);
    return created.status();
  }
  cache = *std::move(created);
  return cache.get();
}

std::vector<DeviceCache*> DeviceCaches::All() const {
  MutexLock lock(&mutex_);
  std::vector<DeviceCache*> all;
  for (const auto& [id, cache] : caches_) all.push_back(cache.get());
  return all;
}

void DeviceCaches::BeforeUpdate(const UpdateBatch& batch) {
  for (DeviceCache* cache : All()) cache->BeforeUpdate(batch);
}

void DeviceCaches::Update(const UpdateBatch& batch) {
  for (DeviceCache* cache : All()) cache->Update(batch);
}

nlohmann::json DeviceCaches::Stats() const {
  nlohmann::json devices = nlohmann::json::array();
  for (const DeviceCache* cache : All()) devices.push_back(cache->Stats());
  return devices;
}

}  // namespace tf_hps
