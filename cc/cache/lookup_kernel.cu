#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_set.h"

namespace tf_hps {
namespace {

__global__ void __launch_bounds__(kBlockThreads) Lookup(CacheRef cache, CacheLookupArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  for (uint64_t first = FirstOfWarp(); first < args.n; first += step) {
    const uint64_t p = first + tile.base / kTileLanes;
    int64_t key = 0;
    bool missed = false;
    if (p < args.n) {
      key = __ldg(reinterpret_cast<const long long*>(args.keys) + p);
      const Place place = Find(cache, key, tile);
      missed = place.way < 0;
      if (!missed && tile.lane == 0) Touch(cache, place);
      if (missed ? args.misses_get_default : IsAbsent(place.state, place.way)) {
        PutDefaultRow(args.out, static_cast<uint32_t>(p), args.out.default_buckets.Of(key),
                      tile.lane);
      } else if (!missed) {
        PutRow(cache, RowOf(cache, place.set, place.way), args.out, static_cast<uint32_t>(p),
               tile.lane);
      }
    }
    AppendMisses(args.misses, args.progress, missed && tile.lane == 0, key,
                 static_cast<uint32_t>(p));
  }
  FinishLookup(args.misses, args.progress);
}

}  // namespace

cudaError_t LaunchLookup(const CacheRef& cache, const CacheLookupArgs& args, unsigned max_blocks,
                         cudaStream_t stream) {
  return LaunchTiles(Lookup, cache, args, args.n, max_blocks, stream);
}

}  // namespace tf_hps
