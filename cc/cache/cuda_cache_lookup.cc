// Reading calls of the CUDA cache.
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/cache/cuda_cache.h"
#include "cc/cache/cuda_status.h"

namespace tf_hps {

// Its staging holds the count, the keys and the positions of the misses, in this order.
class CudaCache::PendingLookup : public CacheLookup {
 public:
  PendingLookup(CudaCache* cache, std::unique_ptr<CudaStaging> staging, size_t n, bool captured)
      : cache_(cache), staging_(std::move(staging)), n_(n), captured_(captured) {
    std::memset(staging_->memory(), 0, sizeof(uint32_t));
  }
  ~PendingLookup() override { cache_->staging_.GiveBack(std::move(staging_)); }

  static size_t Bytes(size_t n) { return kHead + n * (sizeof(Key) + sizeof(uint32_t)); }

  CacheMissList list() const {
    char* const memory = staging_->memory();
    return {reinterpret_cast<Key*>(memory + kHead),
            reinterpret_cast<uint32_t*>(memory + kHead + n_ * sizeof(Key)),
            reinterpret_cast<uint32_t*>(memory)};
  }
  CacheProgress* progress() const { return static_cast<CacheProgress*>(staging_->device_part); }
  absl::Status Record(cudaStream_t stream) {
    return captured_ ? absl::OkStatus() : staging_->Record(stream);
  }

  absl::Status Wait() override {
    if (captured_ || waited_) return absl::OkStatus();
    waited_ = true;
    cache_->host_waits_.fetch_add(1);
    return staging_->Wait();
  }
  absl::Span<const Key> keys() const override { return {list().keys, *list().count}; }
  absl::Span<const uint32_t> positions() const override {
    return {list().positions, *list().count};
  }

 private:
  static constexpr size_t kHead = 64;
  CudaCache* const cache_;
  std::unique_ptr<CudaStaging> staging_;
  const size_t n_;
  const bool captured_;
  bool waited_ = false;
};

absl::StatusOr<std::unique_ptr<CudaCache::PendingLookup>> CudaCache::NewLookup(
    size_t n, cudaStream_t stream) {
  if (n > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a batch has at most 2^31 - 1 keys. Received: ", n));
  }
  if (absl::Status status = order_.BeforeRead(stream); !status.ok()) return status;
  absl::StatusOr<bool> captured = IsCapturing(stream);
  if (!captured.ok()) return captured.status();
  absl::StatusOr<std::unique_ptr<CudaStaging>> staging = staging_.Take(PendingLookup::Bytes(n));
  if (!staging.ok()) return staging.status();
  if ((*staging)->device_part == nullptr) {
    void* const part = memory_->Allocate(sizeof(CacheProgress), stream);
    if (part == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the cache of table \"", table_,
                       "\" needs 8 bytes of device memory; free: ", memory_->FreeBytes()));
    }
    device_parts_.push_back(part);
    if (absl::Status status = CudaStatus(cudaMemsetAsync(part, 0, sizeof(CacheProgress), stream),
                                         "clear a lookup's counts");
        !status.ok()) {
      return status;
    }
    (*staging)->device_part = part;
  }
  return std::make_unique<PendingLookup>(this, *std::move(staging), n, *captured);
}

absl::Status CudaCache::Launched(cudaError_t error, absl::string_view what, PendingLookup* lookup,
                                 cudaStream_t stream) {
  absl::Status status = CudaStatus(error, absl::StrCat("start the ", what, " kernel"));
  return status.ok() ? lookup->Record(stream) : status;
}

absl::StatusOr<std::unique_ptr<CacheLookup>> CudaCache::Lookup(const CacheBatch& batch,
                                                               CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  absl::StatusOr<CacheOutput> out = OutputOf(batch.out);
  if (!out.ok()) return out.status();
  MutexLock lock(&mutex_);
  absl::StatusOr<std::unique_ptr<PendingLookup>> lookup = NewLookup(batch.n, stream);
  if (!lookup.ok()) return lookup.status();
  if (batch.n != 0) {
    CacheLookupArgs args = {};
    args.keys = batch.keys;
    args.n = static_cast<uint32_t>(batch.n);
    args.out = *out;
    args.misses_get_default = batch.misses_get_default;
    args.misses = (*lookup)->list();
    args.progress = (*lookup)->progress();
    absl::Status status =
        Launched(LaunchLookup(ref_, args, max_blocks_, stream), "lookup", lookup->get(), stream);
    if (!status.ok()) return status;
  }
  return *std::move(lookup);
}

namespace {

CacheCombineArgs CombineArgs(const CacheBatch& batch, const CacheBags& bags,
                             const CacheOutput& out) {
  CacheCombineArgs args = {};
  args.keys = batch.keys;
  args.splits = bags.splits;
  args.weights = bags.weights;
  args.bags = static_cast<uint32_t>(bags.bags);
  args.combiner = static_cast<uint8_t>(bags.combiner);
  args.out = out;
  args.default_row = bags.default_row;
  return args;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheLookup>> CudaCache::Combine(const CacheBatch& batch,
                                                                const CacheBags& bags,
                                                                CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  absl::StatusOr<CacheOutput> out = OutputOf(batch.out);
  if (!out.ok()) return out.status();
  MutexLock lock(&mutex_);
  absl::StatusOr<std::unique_ptr<PendingLookup>> lookup = NewLookup(batch.n, stream);
  if (!lookup.ok()) return lookup.status();
  if (bags.bags != 0) {
    CacheCombineArgs args = CombineArgs(batch, bags, *out);
    args.misses = (*lookup)->list();
    args.progress = (*lookup)->progress();
    absl::Status status =
        Launched(LaunchCombine(ref_, args, max_blocks_, stream), "combine", lookup->get(), stream);
    if (!status.ok()) return status;
  }
  return *std::move(lookup);
}

// Asks no key, so it needs no order.
absl::Status CudaCache::CombineRows(const float* rows, const CacheBatch& batch,
                                    const CacheBags& bags, CacheStream stream) {
  absl::StatusOr<CacheOutput> out = OutputOf(batch.out);
  if (!out.ok()) return out.status();
  if (bags.bags == 0) return absl::OkStatus();
  CacheCombineArgs args = CombineArgs(batch, bags, *out);
  args.rows = rows;
  return CudaStatus(LaunchCombine(ref_, args, max_blocks_, static_cast<cudaStream_t>(stream)),
                    "start the combine kernel");
}

}  // namespace tf_hps
