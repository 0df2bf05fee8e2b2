#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_set.h"

namespace tf_hps {
namespace {

// Sums of a lane that stay in registers; wider rows take several turns.
constexpr int kSums = 16;

// The row of the id at `position`: found is false for a miss, row null for the default row.
struct IdRow {
  bool found;
  const unsigned char* row;
  RowFormat format;
};

__device__ IdRow RowOfId(const CacheRef& cache, const CacheCombineArgs& args, int64_t position,
                         bool touch, const Tile& tile) {
  if (args.rows != nullptr) {
    const float* const row = args.rows + position * cache.embedding_dim;
    return {true, reinterpret_cast<const unsigned char*>(row), RowFormat::kFloat32};
  }
  const int64_t key = __ldg(reinterpret_cast<const long long*>(args.keys) + position);
  const Place place = Find(cache, key, tile);
  if (place.way < 0) {
    if (touch && tile.lane == 0) {
      const unsigned at = atomicAdd(&args.progress->missed, 1u);
      __stcg(reinterpret_cast<long long*>(args.misses.keys) + at, static_cast<long long>(key));
      __stcg(args.misses.positions + at, static_cast<uint32_t>(position));
    }
    return {false, nullptr, cache.format};
  }
  if (touch && tile.lane == 0) Touch(cache, place);
  if (IsAbsent(place.state, place.way)) {
    const float* const row =
        args.default_row +
        static_cast<uint64_t>(args.default_buckets.Of(key)) * cache.embedding_dim;
    return {true, reinterpret_cast<const unsigned char*>(row), RowFormat::kFloat32};
  }
  return {true, RowOf(cache, place.set, place.way), cache.format};
}

// As BagCombiner: products and sums are rounded each for itself, in the order of the ids.
__device__ float Divisor(const CacheCombineArgs& args, int64_t begin, int64_t end) {
  float sum = 0;
  if (args.weights == nullptr) {
    sum = static_cast<float>(end - begin);
  } else {
    for (int64_t i = begin; i < end; ++i) {
      const float weight = __ldg(args.weights + i);
      sum = __fadd_rn(sum, args.combiner == 1 ? weight : __fmul_rn(weight, weight));
    }
  }
  return args.combiner == 2 ? __fsqrt_rn(sum) : sum;
}

__device__ void CombineBag(const CacheRef& cache, const CacheCombineArgs& args, uint64_t bag,
                           const Tile& tile) {
  const int64_t begin = __ldg(reinterpret_cast<const long long*>(args.splits) + bag);
  const int64_t end = __ldg(reinterpret_cast<const long long*>(args.splits) + bag + 1);
  const float divisor = args.combiner == 0 ? 1 : Divisor(args, begin, end);
  unsigned char* const out = args.out.rows + bag * args.out.row_bytes;
  bool complete = true;
  for (uint32_t turn = 0; turn < cache.embedding_dim && complete; turn += kSums * kTileLanes) {
    float sums[kSums] = {};
    for (int64_t i = begin; i < end; ++i) {
      const IdRow id = RowOfId(cache, args, i, turn == 0, tile);
      complete = complete && id.found;
      if (!complete) continue;  // the others' misses are still to be told
      for (int s = 0; s < kSums; ++s) {
        const uint32_t e = turn + s * kTileLanes + tile.lane;
        if (e >= cache.embedding_dim) break;
        float x;
        LoadElements<1>(id.format, id.row, e, &x);
        const float product = args.weights == nullptr ? x : __fmul_rn(x, __ldg(args.weights + i));
        sums[s] = __fadd_rn(sums[s], product);
      }
    }
    for (int s = 0; s < kSums && complete; ++s) {
      const uint32_t e = turn + s * kTileLanes + tile.lane;
      if (e >= cache.embedding_dim) break;
      if (args.combiner != 0) sums[s] = divisor == 0 ? 0.0f : __fdiv_rn(sums[s], divisor);
      StoreElements<1>(args.out.type, sums + s, out, e);
    }
  }
}

__global__ void __launch_bounds__(kBlockThreads) Combine(CacheRef cache, CacheCombineArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  for (uint64_t bag = FirstOfWarp() + tile.base / kTileLanes; bag < args.bags; bag += step) {
    CombineBag(cache, args, bag, tile);
  }
  if (args.rows == nullptr) FinishLookup(args.misses, args.progress);
}

}  // namespace

cudaError_t LaunchCombine(const CacheRef& cache, const CacheCombineArgs& args, unsigned max_blocks,
                          cudaStream_t stream) {
  return LaunchTiles(Combine, cache, args, args.bags, max_blocks, stream);
}

}  // namespace tf_hps
