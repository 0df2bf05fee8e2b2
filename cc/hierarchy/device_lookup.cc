#include "cc/hierarchy/device_lookup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {
namespace {

// Whether a batch's misses keep the default row for now.
bool GivesDefaults(const DeviceCacheOptions& options, size_t keys, size_t misses) {
  const auto hits = static_cast<double>(keys - misses);
  return !options.IsExact() && hits >= options.hit_rate_threshold * static_cast<double>(keys);
}

}  // namespace

DeviceRowLookup::DeviceRowLookup(EmbeddingTable* table, DeviceCache* cache, const CacheBatch& batch,
                                 CacheStream stream)
    : table_(table), cache_(cache), batch_(batch), stream_(stream) {}

absl::StatusOr<WaitsFor> DeviceRowLookup::Step() {
  absl::StatusOr<WaitsFor> next = WaitsFor::kNothing;
  switch (waits_for_) {
    case WaitsFor::kNothing:
      next = Start();
      break;
    case WaitsFor::kDevice:
      next = Collect();
      break;
    case WaitsFor::kStores:
      next = Fetch();
      break;
  }
  if (next.ok()) waits_for_ = *next;
  return next;
}

void DeviceRowLookup::Restart() {
  lookup_.reset();
  waits_for_ = WaitsFor::kNothing;
}

absl::StatusOr<WaitsFor> DeviceRowLookup::Start() {
  if (absl::Status status = cache_->Repair(); !status.ok()) return status;
  batch_.misses_get_default = !cache_->options().IsExact();
  absl::StatusOr<std::unique_ptr<CacheLookup>> lookup = cache_->cache()->Lookup(batch_, stream_);
  if (!lookup.ok()) return lookup.status();
  lookup_ = *std::move(lookup);
  cache_->CountLookup(batch_.n);
  if (batch_.n == 0 || lookup_->IsCaptured()) return WaitsFor::kNothing;
  if (!cache_->options().NeverWaits()) return WaitsFor::kDevice;
  cache_->background()->Collect(std::move(lookup_));
  return WaitsFor::kNothing;
}

absl::StatusOr<WaitsFor> DeviceRowLookup::Collect() {
  if (absl::Status status = lookup_->Wait(); !status.ok()) return status;
  const size_t misses = lookup_->keys().size();
  if (misses == 0) return WaitsFor::kNothing;
  if (!GivesDefaults(cache_->options(), batch_.n, misses)) {
    cache_->CountMisses(misses, 0);
    return WaitsFor::kStores;
  }
  FillMisses();
  return WaitsFor::kNothing;
}

void DeviceRowLookup::FillMisses() {
  cache_->CountMisses(lookup_->keys().size(), lookup_->keys().size());
  cache_->background()->Enqueue(lookup_->keys());
}

absl::StatusOr<WaitsFor> DeviceRowLookup::Fetch() {
  MissedRows rows(lookup_->keys());
  if (absl::Status status = rows.Fetch(table_); !status.ok()) return status;
  absl::Status status = cache_->cache()->Fill(rows.ToWrite(&batch_.out, lookup_->positions()),
                                              cache_->memory(), stream_);
  if (!status.ok()) return status;
  return WaitsFor::kNothing;
}

DeviceBagLookup::DeviceBagLookup(EmbeddingTable* table, DeviceCache* cache, const CacheBatch& batch,
                                 const CacheBags& bags, CacheStream stream)
    : table_(table), cache_(cache), batch_(batch), bags_(bags), stream_(stream) {}

DeviceBagLookup::~DeviceBagLookup() {
  if (rows_memory_ != nullptr) cache_->memory()->Free(rows_memory_, stream_);
}

absl::StatusOr<WaitsFor> DeviceBagLookup::Step() {
  if (!std::exchange(started_, true)) return Start();
  if (rows_ == nullptr) return Collect();
  absl::StatusOr<WaitsFor> next = rows_->Step();
  if (!next.ok() || *next != WaitsFor::kNothing) return next;
  return CombineRows();
}

// The memory for rows stays: whoever writes there next comes later in the stream.
void DeviceBagLookup::Restart() {
  lookup_.reset();
  rows_.reset();
  started_ = false;
}

absl::StatusOr<WaitsFor> DeviceBagLookup::Start() {
  if (cache_->options().NeverWaits()) return LookUpRows();
  if (absl::Status status = cache_->Repair(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<CacheLookup>> lookup =
      cache_->cache()->Combine(batch_, bags_, stream_);
  if (!lookup.ok()) return lookup.status();
  lookup_ = *std::move(lookup);
  if (bags_.bags != 0) return WaitsFor::kDevice;
  return WaitsFor::kNothing;
}

absl::StatusOr<WaitsFor> DeviceBagLookup::Collect() {
  if (absl::Status status = lookup_->Wait(); !status.ok()) return status;
  if (!lookup_->keys().empty()) return LookUpRows();
  cache_->CountLookup(batch_.n);
  return WaitsFor::kNothing;
}

absl::StatusOr<WaitsFor> DeviceBagLookup::LookUpRows() {
  const auto dim = static_cast<size_t>(table_->spec().embedding_dim);
  const size_t bytes = batch_.n * dim * sizeof(float);
  if (bytes != 0 && rows_memory_ == nullptr) {
    rows_memory_ = cache_->memory()->Allocate(bytes, stream_);
    if (rows_memory_ == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat(
          table_->spec().Described(), ": ", bytes, " bytes of device memory are needed for ",
          batch_.n, " rows; free: ", cache_->memory()->FreeBytes()));
    }
  }
  CacheBatch batch = batch_;
  batch.out = {rows_memory_, ElementType::kFloat32, bags_.default_row, bags_.default_buckets};
  rows_ = std::make_unique<DeviceRowLookup>(table_, cache_, batch, stream_);
  absl::StatusOr<WaitsFor> next = rows_->Step();
  if (!next.ok() || *next != WaitsFor::kNothing) return next;
  return CombineRows();
}

absl::StatusOr<WaitsFor> DeviceBagLookup::CombineRows() {
  absl::Status status =
      cache_->cache()->CombineRows(static_cast<const float*>(rows_memory_), batch_, bags_, stream_);
  if (!status.ok()) return status;
  return WaitsFor::kNothing;
}

}  // namespace tf_hps
