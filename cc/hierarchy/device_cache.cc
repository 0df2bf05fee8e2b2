#include "cc/hierarchy/device_cache.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/missed_rows.h"

namespace tf_hps {
namespace {

// Of pinned and of device memory, for one transfer of an update.
constexpr size_t kTransferBytes = size_t{8} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceCache>> DeviceCache::Create(EmbeddingTable* table,
                                                                 const DeviceCacheOptions& options,
                                                                 const CacheDevice& device) {
  std::unique_ptr<DeviceCache> created(new DeviceCache(table, options, device));
  CacheOptions of_cache = options.cache;
  of_cache.device = device.number;
  auto cache = device.new_cache(of_cache, device.memory, device.stream);
  if (!cache.ok()) return cache.status();
  created->cache_ = *std::move(cache);
  return created;
}

DeviceCache::DeviceCache(EmbeddingTable* table, const DeviceCacheOptions& options,
                         const CacheDevice& device)
    : table_(table),
      options_(options),
      device_(device),
      background_([this](absl::Span<const Key> keys) { return FetchAndFill(keys); },
                  [this](size_t misses) { CountMisses(misses, misses); }) {}

absl::Status DeviceCache::FetchAndFill(absl::Span<const Key> keys) {
  MissedRows rows(keys);
  if (absl::Status status = rows.Fetch(table_); !status.ok()) return status;
  return cache_->Fill(rows.ToKeep(), device_.memory, device_.stream);
}

absl::StatusOr<const void*> DeviceCache::KeepRow(absl::Span<const uint8_t> row) {
  const absl::string_view bytes(reinterpret_cast<const char*>(row.data()), row.size());
  MutexLock lock(&mutex_);
  if (const auto kept = kept_rows_.find(bytes); kept != kept_rows_.end()) return kept->second;
  absl::StatusOr<const void*> sent = cache_->Keep(row, device_.stream);
  if (sent.ok()) kept_rows_.emplace(bytes, *sent);
  return sent;
}

absl::Status DeviceCache::Repair() {
  if (!owes_.load(std::memory_order_acquire)) return absl::OkStatus();
  MutexLock lock(&mutex_);
  absl::Status status = cache_->Erase(owed_, nullptr, device_.memory, device_.stream);
  if (!status.ok()) return status;
  owed_.clear();
  owes_.store(false, std::memory_order_release);
  return absl::OkStatus();
}

void DeviceCache::Owe(absl::Span<const Key> keys) {
  failed_updates_.Add(static_cast<int64_t>(keys.size()));
  MutexLock lock(&mutex_);
  owed_.insert(owed_.end(), keys.begin(), keys.end());
  owes_.store(true, std::memory_order_release);
}

void DeviceCache::Forget(absl::Span<const Key> keys, std::vector<Key>* taken) {
  constexpr size_t kKeys = kTransferBytes / sizeof(Key);
  for (size_t at = 0; at < keys.size(); at += kKeys) {
    const absl::Span<const Key> some = keys.subspan(at, kKeys);
    if (!cache_->Erase(some, taken, device_.memory, device_.stream).ok()) Owe(some);
  }
}

void DeviceCache::BeforeUpdate(const UpdateBatch& batch) {
  if (!options_.IsExact()) return;
  taken_.clear();
  Forget(batch.keys, &taken_);
  Forget(batch.erased, &taken_);
}

void DeviceCache::Update(const UpdateBatch& batch) {
  if (options_.IsExact()) {
    PutBack(batch);
    return;
  }
  const size_t rows = std::max<size_t>(1, kTransferBytes / batch.rows.row_bytes());
  for (size_t at = 0; at < batch.keys.size(); at += rows) {
    const absl::Span<const Key> some = batch.keys.subspan(at, rows);
    if (!cache_->Update(some, batch.rows.From(at), device_.memory, device_.stream).ok()) Owe(some);
  }
  Forget(batch.erased, nullptr);
}

// What was resident and is not put back, whatever goes wrong, is missed and read again.
void DeviceCache::PutBack(const UpdateBatch& batch) {
  if (taken_.empty()) return;
  const size_t row_bytes = batch.rows.row_bytes();
  std::unordered_map<Key, const uint8_t*> last;
  for (size_t i = 0; i < batch.keys.size(); ++i) last[batch.keys[i]] = batch.rows.row(i);
  for (Key key : batch.erased) last[key] = nullptr;
  std::sort(taken_.begin(), taken_.end());
  taken_.erase(std::unique(taken_.begin(), taken_.end()), taken_.end());
  const size_t some = std::max<size_t>(1, kTransferBytes / row_bytes);
  for (size_t at = 0; at < taken_.size(); at += some) {
    CacheFill fill;
    fill.keys = absl::MakeConstSpan(taken_).subspan(at, some);
    fill.inside_update = true;
    std::vector<uint8_t> rows(fill.keys.size() * row_bytes);
    std::vector<uint8_t> found(fill.keys.size());
    for (size_t i = 0; i < fill.keys.size(); ++i) {
      const uint8_t* const row = last.at(fill.keys[i]);
      found[i] = row != nullptr;
      if (row != nullptr) std::memcpy(&rows[i * row_bytes], row, row_bytes);
    }
    fill.rows = RowsView(rows.data(), row_bytes);
    fill.found = found;
    cache_->Fill(fill, device_.memory, device_.stream).IgnoreError();
  }
  taken_.clear();
}

absl::Status DeviceCache::ForEachSlice(
    size_t keys, const std::function<absl::Status(absl::Span<const Key>)>& work) {
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    const absl::StatusOr<CacheStats> before = cache_->Stats(device_.stream);
    if (!before.ok()) return before.status();
    const size_t slices = static_cast<size_t>(before->capacity_rows) / keys + 1;
    for (size_t slice = 0; slice < slices; ++slice) {
      absl::StatusOr<std::vector<Key>> resident =
          cache_->ResidentKeys(slice, slices, device_.stream);
      absl::Status status = resident.ok() ? work(*resident) : resident.status();
      if (!status.ok()) return status;
    }
    const absl::StatusOr<CacheStats> after = cache_->Stats(device_.stream);
    if (!after.ok()) return after.status();
    if (after->moves == before->moves) break;
  }
  return absl::OkStatus();
}

void DeviceCache::CountLookup(size_t keys) const {
  lookups_.Add(1);
  keys_.Add(static_cast<int64_t>(keys));
}

void DeviceCache::CountMisses(size_t misses, size_t default_rows) const {
  misses_.Add(static_cast<int64_t>(misses));
  default_rows_.Add(static_cast<int64_t>(default_rows));
}

nlohmann::json DeviceCache::Stats() const {
  nlohmann::json stats = {{"device", device_.name},
                          {"lookups", lookups_.Get()},
                          {"keys", keys_.Get()},
                          {"misses", misses_.Get()},
                          {"default_rows_given", default_rows_.Get()},
                          {"failed_updates", failed_updates_.Get()},
                          {"background",
                           {{"rows", background_.keys_filled()},
                            {"dropped", background_.keys_dropped()},
                            {"failed", background_.keys_failed()}}}};
  const absl::StatusOr<CacheStats> cache = cache_->Stats(device_.stream);
  if (!cache.ok()) {
    stats["error"] = cache.status().ToString();
    return stats;
  }
  stats.update({{"capacity_rows", cache->capacity_rows},
                {"bytes", cache->bytes},
                {"rows", cache->rows},
                {"absent", cache->absent},
                {"evictions", cache->evictions},
                {"refused", cache->refused},
                {"host_waits", cache->host_waits}});
  return stats;
}

}  // namespace tf_hps
