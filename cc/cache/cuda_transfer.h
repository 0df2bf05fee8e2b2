#ifndef TF_HPS_CC_CACHE_CUDA_TRANSFER_H_
#define TF_HPS_CC_CACHE_CUDA_TRANSFER_H_

#include <cuda_runtime_api.h>

#include <cstring>
#include <memory>
#include <utility>

#include "absl/types/span.h"
#include "cc/cache/cuda_staging.h"
#include "cc/cache/cuda_status.h"
#include "cc/cache/embedding_cache.h"

namespace tf_hps {

// Several arrays that go to the device in one copy: reserved one by one, then written through their
// host side, then sent; the device side is known after Open.
class CudaTransfer {
 public:
  CudaTransfer(CudaStagingPool* pool, DeviceMemory* memory, cudaStream_t stream)
      : pool_(pool), memory_(memory), stream_(stream) {}
  // The device memory may be used again by work queued from now on.
  ~CudaTransfer() {
    if (device_ != nullptr) memory_->Free(device_, stream_);
    if (staging_ != nullptr) pool_->GiveBack(std::move(staging_));
  }
  CudaTransfer(const CudaTransfer&) = delete;
  CudaTransfer& operator=(const CudaTransfer&) = delete;

  template <class T>
  size_t Reserve(size_t n) {
    const size_t at = bytes_;
    bytes_ += (n * sizeof(T) + 255) / 256 * 256;
    return at;
  }

  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<CudaStaging>> staging = pool_->Take(bytes_);
    if (!staging.ok()) return staging.status();
    staging_ = *std::move(staging);
    device_ = static_cast<char*>(memory_->Allocate(bytes_, stream_));
    if (device_ != nullptr) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("a cache needs ", bytes_,
                     " bytes of device memory for a transfer; free: ", memory_->FreeBytes()));
  }

  template <class T>
  T* host(size_t at) const {
    return reinterpret_cast<T*>(staging_->memory() + at);
  }
  template <class T>
  const T* device(size_t at) const {
    return reinterpret_cast<const T*>(device_ + at);
  }

  absl::Status Send() {
    absl::Status status = CudaStatus(
        cudaMemcpyAsync(device_, staging_->memory(), bytes_, cudaMemcpyHostToDevice, stream_),
        "copy rows to the device");
    return status.ok() ? staging_->Record(stream_) : status;
  }

 private:
  CudaStagingPool* const pool_;
  DeviceMemory* const memory_;
  const cudaStream_t stream_;
  size_t bytes_ = 0;
  std::unique_ptr<CudaStaging> staging_;
  char* device_ = nullptr;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_TRANSFER_H_
