#include "cc/cache/cuda_staging.h"

#include <algorithm>
#include <utility>

#include "cc/cache/cuda_status.h"

namespace tf_hps {

CudaStaging::~CudaStaging() {
  if (recorded_) (void)cudaEventSynchronize(event_);
  if (event_ != nullptr) (void)cudaEventDestroy(event_);
  if (memory_ != nullptr) (void)cudaFreeHost(memory_);
}

absl::Status CudaStaging::Reserve(size_t bytes) {
  if (bytes <= bytes_) return absl::OkStatus();
  if (memory_ != nullptr) (void)cudaFreeHost(memory_);
  memory_ = nullptr;
  bytes_ = 0;
  const size_t rounded = std::max<size_t>(bytes + bytes / 4, 4096);
  void* memory = nullptr;
  if (cudaError_t error = cudaHostAlloc(&memory, rounded, cudaHostAllocDefault);
      error != cudaSuccess) {
    return CudaStatus(error, absl::StrCat("pin ", rounded, " bytes of host memory"));
  }
  memory_ = static_cast<char*>(memory);
  bytes_ = rounded;
  return absl::OkStatus();
}

absl::Status CudaStaging::Record(cudaStream_t stream) {
  if (event_ == nullptr) {
    if (cudaError_t error = cudaEventCreateWithFlags(&event_, cudaEventDisableTiming);
        error != cudaSuccess) {
      return CudaStatus(error, "create an event");
    }
  }
  absl::Status status = CudaStatus(cudaEventRecord(event_, stream), "record an event");
  recorded_ = recorded_ || status.ok();
  return status;
}

absl::Status CudaStaging::Wait() const {
  return recorded_ ? CudaStatus(cudaEventSynchronize(event_), "wait for a lookup")
                   : absl::OkStatus();
}

bool CudaStaging::IsDone() const {
  return !recorded_ || cudaEventQuery(event_) != cudaErrorNotReady;
}

absl::StatusOr<std::unique_ptr<CudaStaging>> CudaStagingPool::Take(size_t bytes) {
  std::unique_ptr<CudaStaging> staging;
  {
    MutexLock lock(&mutex_);
    for (auto& idle : idle_) {
      if (!idle->IsDone()) continue;
      staging = std::move(idle);
      idle = std::move(idle_.back());
      idle_.pop_back();
      break;
    }
  }
  if (staging == nullptr) staging = std::make_unique<CudaStaging>();
  if (absl::Status status = staging->Reserve(bytes); !status.ok()) return status;
  return staging;
}

void CudaStagingPool::GiveBack(std::unique_ptr<CudaStaging> staging) {
  MutexLock lock(&mutex_);
  idle_.push_back(std::move(staging));
}

}  // namespace tf_hps
