// Reading calls of the CUDA cache.
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/cache/cuda_cache.h"
#include "cc/cache/cuda_pending_lookup.h"
#include "cc/cache/cuda_status.h"

namespace tf_hps {
namespace {

// Pinned memory may be taken and events asked while a stream is captured: neither is part of it.
class RelaxedCapture {
 public:
  RelaxedCapture() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCapture() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CudaCache::PendingLookup>> CudaCache::NewLookup(
    size_t n, cudaStream_t stream) {
  if (n > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a batch has at most 2^31 - 1 keys. Received: ", n));
  }
  if (absl::Status status = order_.BeforeRead(stream); !status.ok()) return status;
  absl::StatusOr<bool> captured = IsCapturing(stream);
  if (!captured.ok()) return captured.status();
  const RelaxedCapture relaxed;
  absl::StatusOr<std::unique_ptr<CudaStaging>> staging = staging_.Take(PendingLookup::Bytes(n));
  if (!staging.ok()) return staging.status();
  if ((*staging)->device_part == nullptr && progresses_taken_ < kProgresses) {
    (*staging)->device_part = progress_ + progresses_taken_++;
  }
  if ((*staging)->device_part == nullptr) {
    if (*captured) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the cache of table \"", table_, "\" has ", kProgresses,
          " lookups under way, and one that is captured may not allocate memory for another"));
    }
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
  if (absl::Status status = CheckKeys(batch.keys, batch.n); !status.ok()) return status;
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
  args.default_buckets = bags.default_buckets;
  return args;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheLookup>> CudaCache::Combine(const CacheBatch& batch,
                                                                const CacheBags& bags,
                                                                CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  if (absl::Status status = CheckKeys(batch.keys, batch.n); !status.ok()) return status;
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

absl::StatusOr<std::unique_ptr<CacheLookup>> CudaCache::PrepareKeys(const CacheIds& ids, Key* keys,
                                                                    CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  if (absl::Status status = CheckKeys(ids.ids, ids.n); !status.ok()) return status;
  CacheIdsArgs args = {};
  args.ids = ids.ids;
  args.narrow = ids.narrow;
  args.n = static_cast<uint32_t>(ids.n);
  args.vocabulary_size = ids.vocabulary_size;
  args.wraps_negatives = ids.wraps_negatives;
  args.keys = keys;
  std::unique_ptr<PendingLookup> bad;
  MutexLock lock(&mutex_);
  if (ids.vocabulary_size != 0) {
    absl::StatusOr<std::unique_ptr<PendingLookup>> list = NewLookup(ids.n, stream);
    if (!list.ok()) return list.status();
    bad = *std::move(list);
    args.bad = bad->list();
    args.progress = bad->progress();
  }
  if (ids.n == 0) return bad;
  absl::Status status = CudaStatus(LaunchPrepareKeys(ref_, args, max_blocks_, stream),
                                   "start the kernel that reads ids");
  if (status.ok() && bad != nullptr) status = bad->Record(stream);
  if (!status.ok()) return status;
  return bad;
}

// Asks no key, so it needs no order.
absl::Status CudaCache::CombineRows(const float* rows, const CacheBatch& batch,
                                    const CacheBags& bags, CacheStream stream) {
  absl::StatusOr<CacheOutput> out = OutputOf(batch.out);
  if (!out.ok()) return out.status();
  if (bags.bags == 0) return absl::OkStatus();
  if (absl::Status status = UseDevice(); !status.ok()) return status;
  CacheCombineArgs args = CombineArgs(batch, bags, *out);
  args.rows = rows;
  return CudaStatus(LaunchCombine(ref_, args, max_blocks_, static_cast<cudaStream_t>(stream)),
                    "start the combine kernel");
}

}  // namespace tf_hps
