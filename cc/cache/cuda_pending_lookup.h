#ifndef TF_HPS_CC_CACHE_CUDA_PENDING_LOOKUP_H_
#define TF_HPS_CC_CACHE_CUDA_PENDING_LOOKUP_H_

#include <cstring>
#include <memory>
#include <utility>

#include "cc/cache/cuda_cache.h"

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
  bool IsCaptured() const override { return captured_; }
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

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_PENDING_LOOKUP_H_
