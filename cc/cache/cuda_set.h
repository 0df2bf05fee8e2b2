// Device code: one tile of lanes and the sets of a cache.
#ifndef TF_HPS_CC_CACHE_CUDA_SET_H_
#define TF_HPS_CC_CACHE_CUDA_SET_H_

#include "cc/cache/cuda_row_copy.h"
#include "cc/common/hash.h"

namespace tf_hps {
namespace {

struct Homes {
  uint64_t first;
  uint64_t second;
};

__device__ inline Homes HomesOf(int64_t key, uint64_t sets) {
  const uint64_t hash = HashKey(key);
  const uint64_t first = ReduceHash(hash, sets);
  const uint64_t second = ReduceHash(HashKey(static_cast<int64_t>(hash)), sets);
  return {first, second != first || sets == 1 ? second : (first + 1) % sets};
}

struct Place {
  uint64_t set;
  int way;  // -1: not there
  CacheWord state;
};

__device__ inline CacheWord* StateOf(const CacheRef& cache, uint64_t set) {
  return cache.lines + set * kCacheLineWords + kCacheStateWord;
}
__device__ inline unsigned char* RowOf(const CacheRef& cache, uint64_t set, int way) {
  return cache.rows + (set * kCacheWays + way) * cache.row_stride;
}
__device__ inline bool IsUsed(CacheWord state, int way) { return state >> way & 1; }
__device__ inline bool IsAbsent(CacheWord state, int way) {
  return state >> (kCacheAbsentShift + way) & 1;
}
__device__ inline unsigned AgeOf(CacheWord state, int way) {
  return static_cast<unsigned>(state >> (kCacheAgeShift + 2 * way)) & 3;
}
__device__ inline CacheWord AgeBits(unsigned age, int way) {
  return static_cast<CacheWord>(age) << (kCacheAgeShift + 2 * way);
}

// This lane's part of a set's line.
__device__ inline ulonglong2 ReadLine(const CacheRef& cache, uint64_t set, const Tile& tile) {
  return __ldcg(reinterpret_cast<const ulonglong2*>(cache.lines + set * kCacheLineWords) +
                tile.lane);
}

// All lanes of the tile get the answer. Lane i compares ways 2i and 2i + 1; the last has the state.
__device__ inline Place FindInLine(const ulonglong2& words, uint64_t set, int64_t key,
                                   const Tile& tile) {
  const CacheWord state = __shfl_sync(tile.mask, words.y, kTileLanes - 1, kTileLanes);
  const int way = 2 * static_cast<int>(tile.lane);
  const CacheWord wanted = static_cast<CacheWord>(key);
  const bool is_x = words.x == wanted && IsUsed(state, way);
  const bool is_y = words.y == wanted && way + 1 < kCacheWays && IsUsed(state, way + 1);
  const unsigned found = __ballot_sync(tile.mask, is_x || is_y) >> tile.base;
  const unsigned odd = __ballot_sync(tile.mask, is_y) >> tile.base;
  const unsigned all = (1u << kTileLanes) - 1;
  if ((found & all) == 0) return {set, -1, state};
  const int lane = __ffs(static_cast<int>(found & all)) - 1;
  return {set, 2 * lane + static_cast<int>(odd >> lane & 1), state};
}

__device__ inline Place FindInSet(const CacheRef& cache, uint64_t set, int64_t key,
                                  const Tile& tile) {
  return FindInLine(ReadLine(cache, set, tile), set, key, tile);
}

__device__ inline Place Find(const CacheRef& cache, int64_t key, const Tile& tile) {
  const Homes homes = HomesOf(key, cache.sets);
  const Place place = FindInSet(cache, homes.first, key, tile);
  return place.way >= 0 ? place : FindInSet(cache, homes.second, key, tile);
}

// Only what is not as young as it gets is written: hot rows cost no write. Or-ing cannot carry into
// a neighbour's bits, whoever else does it: 0 -> 1 -> 3, and 2 -> 3.
__device__ inline void Touch(const CacheRef& cache, const Place& place) {
  const unsigned age = AgeOf(place.state, place.way);
  const unsigned next = cache.policy == CachePolicy::kLru ? 3 : (age << 1 | 1) & 3;
  if ((age | next) != age) atomicOr(StateOf(cache, place.set), AgeBits(next, place.way));
}

__device__ inline void Count(const CacheRef& cache, CacheCounter counter, long long n) {
  atomicAdd(cache.counters + counter, static_cast<CacheWord>(n));
}

// The whole warp calls it: positions of tiles that missed go to the list; nothing where none did.
__device__ inline void AppendMisses(const CacheMissList& list, CacheProgress* progress, bool missed,
                                    int64_t key, uint32_t position) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned who = __ballot_sync(kWholeWarp, missed);
  if (who == 0) return;
  const int leader = __ffs(static_cast<int>(who)) - 1;
  unsigned base = 0;
  if (static_cast<int>(lane) == leader) base = atomicAdd(&progress->missed, __popc(who));
  base = __shfl_sync(kWholeWarp, base, leader, 32);
  if (!missed) return;
  const unsigned at = base + __popc(who & ((1u << lane) - 1));
  __stcg(reinterpret_cast<long long*>(list.keys) + at, static_cast<long long>(key));
  __stcg(list.positions + at, position);
}

// The last warp of the grid tells the host the count, and leaves zeros for the next lookup.
__device__ inline void FinishLookup(const CacheMissList& list, CacheProgress* progress) {
  __syncwarp(kWholeWarp);
  if (threadIdx.x % 32 != 0) return;
  __threadfence();
  const unsigned warps = gridDim.x * (blockDim.x / 32);
  if (atomicAdd(&progress->warps_done, 1u) + 1 != warps) return;
  __stcg(list.count, atomicExch(&progress->missed, 0u));
  atomicExch(&progress->warps_done, 0u);
}

constexpr unsigned kBlockThreads = 256;

// The first item of this warp's tiles; each turn of a kernel's loop goes TilesInGrid() on. All
// lanes of a warp make the same turns.
__device__ inline uint32_t FirstOfWarp() {
  return (blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32) * kTilesPerWarp;
}
__device__ inline uint32_t TilesInGrid() { return gridDim.x * (blockDim.x / kTileLanes); }

// One tile an item.
inline cudaLaunchConfig_t GridOfTiles(uint64_t items, unsigned max_blocks, cudaStream_t stream) {
  const uint64_t tiles = kBlockThreads / kTileLanes;
  const uint64_t blocks = (items + tiles - 1) / tiles;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks < max_blocks ? blocks : max_blocks));
  config.blockDim = dim3(kBlockThreads);
  config.stream = stream;
  return config;
}

template <class Args>
cudaError_t LaunchTiles(void (*kernel)(CacheRef, Args), const CacheRef& cache, const Args& args,
                        uint64_t items, unsigned max_blocks, cudaStream_t stream) {
  const cudaLaunchConfig_t config = GridOfTiles(items, max_blocks, stream);
  return cudaLaunchKernelEx(&config, kernel, cache, args);
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_SET_H_
