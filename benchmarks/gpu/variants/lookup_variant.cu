// The lookup kernel with one thing changed. Linked in the place of cc/cache/lookup_kernel.cu, once
// for each TF_HPS_VARIANT (run.sh): what does not gain 3 % on a device does not go into the cache.
#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_set.h"

#define SAME 0        // nothing changed, what two programs differ by anyway
#define PREFETCH 1    // a tile's next row goes to the L2 cache while this one is copied
#define BOTH_HOMES 2  // both lines of a key are read at once
#define L2_WINDOW 3   // the keys' lines stay in the L2 cache
#define HALF_GRID 4   // as many blocks as are resident at once

namespace tf_hps {
namespace {

__device__ inline Place FindKey(const CacheRef& cache, int64_t key, const Tile& tile) {
#if TF_HPS_VARIANT == BOTH_HOMES
  const Homes homes = HomesOf(key, cache.sets);
  const ulonglong2 first = ReadLine(cache, homes.first, tile);
  const ulonglong2 second = ReadLine(cache, homes.second, tile);
  const Place place = FindInLine(first, homes.first, key, tile);
  return place.way >= 0 ? place : FindInLine(second, homes.second, key, tile);
#else
  return Find(cache, key, tile);
#endif
}

__device__ inline void PrefetchRow(const CacheRef& cache, const Place& place, unsigned lane) {
  constexpr uint32_t kLine = 128;
  const unsigned char* const row = RowOf(cache, place.set, place.way);
  for (uint32_t at = lane * kLine; at < cache.row_stride; at += kTileLanes * kLine) {
#ifdef __CUDA_ARCH__
    asm volatile("prefetch.global.L2 [%0];" ::"l"(row + at));
#else
    (void)row;
#endif
  }
}

__global__ void __launch_bounds__(kBlockThreads)
    LookupVariant(CacheRef cache, CacheLookupArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  struct Asked {
    int64_t key;
    Place place;
  };
  const auto find = [&](uint64_t p) {
    const int64_t key = __ldg(reinterpret_cast<const long long*>(args.keys) + p);
    return Asked{key, FindKey(cache, key, tile)};
  };
  Asked asked = {};
  for (uint64_t first = FirstOfWarp(); first < args.n; first += step) {
    const uint64_t p = first + tile.base / kTileLanes;
    const bool is_asked = p < args.n;
    if (is_asked && (TF_HPS_VARIANT != PREFETCH || first == FirstOfWarp())) asked = find(p);
    Asked next = {};
    if (TF_HPS_VARIANT == PREFETCH && p + step < args.n) {
      next = find(p + step);
      if (next.place.way >= 0) PrefetchRow(cache, next.place, tile.lane);
    }
    const Place& place = asked.place;
    const bool missed = is_asked && place.way < 0;
    if (is_asked) {
      if (!missed && tile.lane == 0) Touch(cache, place);
      if (missed ? args.misses_get_default : IsAbsent(place.state, place.way)) {
        PutDefaultRow(args.out, static_cast<uint32_t>(p), args.out.default_buckets.Of(asked.key),
                      tile.lane);
      } else if (!missed) {
        PutRow(cache, RowOf(cache, place.set, place.way), args.out, static_cast<uint32_t>(p),
               tile.lane);
      }
    }
    AppendMisses(args.misses, args.progress, missed && tile.lane == 0, asked.key,
                 static_cast<uint32_t>(p));
    if (TF_HPS_VARIANT == PREFETCH) asked = next;
  }
  FinishLookup(args.misses, args.progress);
}

#if TF_HPS_VARIANT == L2_WINDOW
// Of the device the thread is on; bytes of the L2 cache that may be held, and of the window.
struct L2Window {
  int held = 0;
  int most = 0;
  L2Window() {
    int device = 0;
    (void)cudaGetDevice(&device);
    (void)cudaDeviceGetAttribute(&held, cudaDevAttrMaxPersistingL2CacheSize, device);
    (void)cudaDeviceGetAttribute(&most, cudaDevAttrMaxAccessPolicyWindowSize, device);
    (void)cudaDeviceSetLimit(cudaLimitPersistingL2CacheSize, held);
  }
};

cudaError_t Launch(const CacheRef& cache, const CacheLookupArgs& args, unsigned max_blocks,
                   cudaStream_t stream) {
  static const L2Window l2;
  const uint64_t bytes = cache.sets * kCacheLineWords * sizeof(CacheWord);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeAccessPolicyWindow;
  cudaAccessPolicyWindow& window = attribute.val.accessPolicyWindow;
  window.base_ptr = cache.lines;
  window.num_bytes = bytes < static_cast<uint64_t>(l2.most) ? bytes : l2.most;
  const double share = static_cast<double>(l2.held) / window.num_bytes;
  window.hitRatio = share < 1 ? static_cast<float>(share) : 1;
  window.hitProp = cudaAccessPropertyPersisting;
  window.missProp = cudaAccessPropertyStreaming;
  cudaLaunchConfig_t config = GridOfTiles(args.n, max_blocks, stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, LookupVariant, cache, args);
}
#else
cudaError_t Launch(const CacheRef& cache, const CacheLookupArgs& args, unsigned max_blocks,
                   cudaStream_t stream) {
  const unsigned blocks = TF_HPS_VARIANT == HALF_GRID ? max_blocks / 2 : max_blocks;
  return LaunchTiles(LookupVariant, cache, args, args.n, blocks, stream);
}
#endif

}  // namespace

cudaError_t LaunchLookup(const CacheRef& cache, const CacheLookupArgs& args, unsigned max_blocks,
                         cudaStream_t stream) {
  return Launch(cache, args, max_blocks, stream);
}

}  // namespace tf_hps
