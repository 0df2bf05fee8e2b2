#ifndef TF_HPS_CC_CACHE_CUDA_CACHE_H_
#define TF_HPS_CC_CACHE_CUDA_CACHE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_staging.h"
#include "cc/cache/cuda_stream_order.h"
#include "cc/cache/embedding_cache.h"
#include "cc/common/mutex.h"

namespace tf_hps {

// The cache in device memory. See embedding_cache.h; the layout is in cuda_cache_ref.h.
class CudaCache : public EmbeddingCache {
 public:
  static absl::StatusOr<std::unique_ptr<EmbeddingCache>> Create(const CacheOptions& options,
                                                                DeviceMemory* memory,
                                                                CacheStream stream);
  ~CudaCache() override;

  absl::StatusOr<std::unique_ptr<CacheLookup>> Lookup(const CacheBatch& batch,
                                                      CacheStream stream) override;
  absl::StatusOr<std::unique_ptr<CacheLookup>> Combine(const CacheBatch& batch,
                                                       const CacheBags& bags,
                                                       CacheStream stream) override;
  absl::Status CombineRows(const float* rows, const CacheBatch& batch, const CacheBags& bags,
                           CacheStream stream) override;
  absl::StatusOr<std::unique_ptr<CacheLookup>> PrepareKeys(const CacheIds& ids, Key* keys,
                                                           CacheStream stream) override;
  absl::Status Fill(const CacheFill& fill, DeviceMemory* memory, CacheStream stream) override;
  absl::Status Update(absl::Span<const Key> keys, const RowsView& rows, DeviceMemory* memory,
                      CacheStream stream) override;
  absl::Status Erase(absl::Span<const Key> keys, std::vector<Key>* taken, DeviceMemory* memory,
                     CacheStream stream) override;
  absl::Status Send(absl::Span<const uint8_t> bytes, void* to, CacheStream stream) override;
  absl::StatusOr<const void*> Keep(absl::Span<const uint8_t> bytes, CacheStream stream) override;
  absl::StatusOr<std::vector<Key>> ResidentKeys(size_t slice, size_t slices,
                                                CacheStream stream) override;
  absl::StatusOr<CacheStats> Stats(CacheStream stream) override;

 private:
  class PendingLookup;  // cuda_pending_lookup.h

  // Lookups under way that need no device memory of their own.
  static constexpr size_t kProgresses = 256;

  CudaCache(const CacheOptions& options, DeviceMemory* memory);
  absl::Status Allocate(const CacheOptions& options, cudaStream_t stream);
  absl::StatusOr<CacheOutput> OutputOf(const CacheRows& out) const;
  // A lookup with room for n misses; its stream is in order until mutex_ is unlocked.
  absl::StatusOr<std::unique_ptr<PendingLookup>> NewLookup(size_t n, cudaStream_t stream)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Launched(cudaError_t error, absl::string_view what, PendingLookup* lookup,
                        cudaStream_t stream);
  // Replaces the rows of keys that are resident, or erases them where rows is null.
  absl::Status Write(absl::Span<const Key> keys, const RowsView* rows, std::vector<Key>* taken,
                     DeviceMemory* memory, cudaStream_t stream);
  // Makes the cache's device the thread's current one.
  absl::Status UseDevice() const;
  // InvalidArgument where the device cannot read the keys.
  absl::Status CheckKeys(const void* keys, size_t n) const;
  absl::Status SendBytes(absl::Span<const uint8_t> bytes, void* to, cudaStream_t stream);
  absl::Status CopyToHost(const void* from, void* to, size_t bytes, cudaStream_t stream);

  // Constant after Create.
  const std::string table_;
  const size_t row_bytes_;
  DeviceMemory* const memory_;
  CacheRef ref_ = {};
  size_t bytes_ = 0;
  unsigned max_blocks_ = 1;
  int device_ = 0;
  CacheProgress* progress_ = nullptr;  // kProgresses of them, for lookups under way
  cudaStream_t home_ = nullptr;

  // Synchronizes itself.
  CudaStagingPool staging_;
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> host_waits_{0};

  // Held while something is queued, so that what one call queues is not interleaved with another's.
  Mutex mutex_;
  CudaStreamOrder order_ ABSL_GUARDED_BY(mutex_);
  std::vector<void*> device_parts_ ABSL_GUARDED_BY(mutex_);
  size_t progresses_taken_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_CACHE_H_
