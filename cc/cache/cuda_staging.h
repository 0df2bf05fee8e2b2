#ifndef TF_HPS_CC_CACHE_CUDA_STAGING_H_
#define TF_HPS_CC_CACHE_CUDA_STAGING_H_

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/mutex.h"

namespace tf_hps {

// Pinned host memory that the device reads or writes, and the event that says when it is done.
class CudaStaging {
 public:
  CudaStaging() = default;
  ~CudaStaging();
  CudaStaging(const CudaStaging&) = delete;
  CudaStaging& operator=(const CudaStaging&) = delete;

  absl::Status Reserve(size_t bytes);  // contents are lost where it grows
  // Marks the end of what is queued on the stream; Wait and IsDone are about that.
  absl::Status Record(cudaStream_t stream);
  absl::Status Wait() const;
  bool IsDone() const;

  // Device memory that goes with it, the cache's: null until the cache gives it some.
  void* device_part = nullptr;

  char* memory() const { return memory_; }
  size_t bytes() const { return bytes_; }

 private:
  char* memory_ = nullptr;
  size_t bytes_ = 0;
  cudaEvent_t event_ = nullptr;
  bool recorded_ = false;
};

// Used again as soon as the device is done with them: pinning memory takes longer than a lookup.
// Thread-safe.
class CudaStagingPool {
 public:
  absl::StatusOr<std::unique_ptr<CudaStaging>> Take(size_t bytes);
  void GiveBack(std::unique_ptr<CudaStaging> staging);

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<CudaStaging>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_STAGING_H_
