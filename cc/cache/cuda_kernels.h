#ifndef TF_HPS_CC_CACHE_CUDA_KERNELS_H_
#define TF_HPS_CC_CACHE_CUDA_KERNELS_H_

#include <cuda_runtime_api.h>

#include "cc/cache/cuda_cache_ref.h"

namespace tf_hps {

// Each queues one kernel on the stream and returns; nothing waits. At most max_blocks blocks.
cudaError_t LaunchPrepareKeys(const CacheRef& cache, const CacheIdsArgs& args, unsigned max_blocks,
                              cudaStream_t stream);
cudaError_t LaunchLookup(const CacheRef& cache, const CacheLookupArgs& args, unsigned max_blocks,
                         cudaStream_t stream);
// The misses' rows into the output.
cudaError_t LaunchWriteMisses(const CacheRef& cache, const CacheFillArgs& args, unsigned max_blocks,
                              cudaStream_t stream);
// The rows to keep into the cache. Nothing else may use the cache meanwhile.
cudaError_t LaunchInsert(const CacheRef& cache, const CacheFillArgs& args, unsigned max_blocks,
                         cudaStream_t stream);
// Replaces or erases keys that are resident. Nothing else may use the cache meanwhile.
cudaError_t LaunchUpdate(const CacheRef& cache, const CacheUpdateArgs& args, unsigned max_blocks,
                         cudaStream_t stream);
// Bags whose rows are all resident; of the others the missing keys.
cudaError_t LaunchCombine(const CacheRef& cache, const CacheCombineArgs& args, unsigned max_blocks,
                          cudaStream_t stream);

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_KERNELS_H_
