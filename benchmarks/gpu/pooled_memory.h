#ifndef TF_HPS_BENCHMARKS_GPU_POOLED_MEMORY_H_
#define TF_HPS_BENCHMARKS_GPU_POOLED_MEMORY_H_

#include <cuda_runtime_api.h>

#include "cc/cache/embedding_cache.h"

namespace tf_hps {

class PooledMemory : public DeviceMemory {
 public:
  void* Allocate(size_t bytes, CacheStream stream) override {
    void* memory = nullptr;
    if (cudaMallocAsync(&memory, bytes, static_cast<cudaStream_t>(stream)) == cudaSuccess) {
      return memory;
    }
    (void)cudaGetLastError();
    return nullptr;
  }
  void Free(void* memory, CacheStream stream) override {
    (void)cudaFreeAsync(memory, static_cast<cudaStream_t>(stream));
  }
  size_t FreeBytes() override {
    size_t free = 0;
    size_t total = 0;
    (void)cudaMemGetInfo(&free, &total);
    return free;
  }
};

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_POOLED_MEMORY_H_
