#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_set.h"

namespace tf_hps {
namespace {

// A tile writes as many keys as it has lanes.
__global__ void __launch_bounds__(kBlockThreads) PrepareKeys(CacheRef, CacheIdsArgs args) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  const uint64_t first_of_warp = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x / 32 * 32;
  for (uint64_t first = first_of_warp; first < args.n; first += step) {
    const uint64_t p = first + threadIdx.x % 32;
    int64_t id = 0;
    bool is_bad = false;
    if (p < args.n) {
      id = args.narrow ? __ldg(static_cast<const int*>(args.ids) + p)
                       : __ldg(static_cast<const long long*>(args.ids) + p);
      const int64_t key = KeyOfId(id, args.vocabulary_size, args.wraps_negatives);
      __stcg(reinterpret_cast<long long*>(args.keys) + p, static_cast<long long>(key));
      is_bad = !IsInRange(key, args.vocabulary_size);
    }
    if (args.progress != nullptr) {
      AppendMisses(args.bad, args.progress, is_bad, id, static_cast<uint32_t>(p));
    }
  }
  if (args.progress != nullptr) FinishLookup(args.bad, args.progress);
}

}  // namespace

cudaError_t LaunchPrepareKeys(const CacheRef& cache, const CacheIdsArgs& args, unsigned max_blocks,
                              cudaStream_t stream) {
  const uint64_t tiles = (uint64_t{args.n} + kTileLanes - 1) / kTileLanes;
  return LaunchTiles(PrepareKeys, cache, args, tiles, max_blocks, stream);
}

}  // namespace tf_hps
