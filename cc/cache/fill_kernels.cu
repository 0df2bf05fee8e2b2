#include "cc/cache/cuda_kernels.h"
#include "cc/cache/cuda_set.h"

namespace tf_hps {
namespace {

__global__ void __launch_bounds__(kBlockThreads) WriteMisses(CacheRef cache, CacheFillArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  for (uint64_t m = FirstOfWarp() + tile.base / kTileLanes; m < args.misses; m += step) {
    const uint32_t row = __ldg(args.row_of_miss + m);
    const uint32_t position = __ldg(args.positions + m);
    const uint32_t bucket = CacheFillArgs::kDefaultRow - row;
    if (bucket < args.out.default_buckets.count) {
      PutDefaultRow(args.out, position, bucket, tile.lane);
    } else {
      const unsigned char* const from = args.rows + static_cast<uint64_t>(row) * cache.row_stride;
      PutRow(cache, from, args.out, position, tile.lane);
    }
  }
}

// The sets a tile works on are its own until it unlocks them. Two homes are locked in ascending
// order; a third set is tried once and never waited for, so no tiles wait for each other.
__device__ bool TryLock(const CacheRef& cache, uint64_t set, const Tile& tile) {
  int locked = 0;
  if (tile.lane == 0) {
    locked = (atomicOr(StateOf(cache, set), kCacheLock) & kCacheLock) == 0;
    __threadfence();
  }
  return __shfl_sync(tile.mask, locked, 0, kTileLanes) != 0;
}

__device__ void Lock(const CacheRef& cache, uint64_t set, const Tile& tile) {
  while (!TryLock(cache, set, tile)) __nanosleep(100);
}

// What the tile's lanes wrote comes before the lock's end.
__device__ void Unlock(const CacheRef& cache, uint64_t set, const Tile& tile) {
  __threadfence();
  __syncwarp(tile.mask);
  if (tile.lane == 0) atomicAnd(StateOf(cache, set), ~kCacheLock);
}

__device__ CacheWord ReadState(const CacheRef& cache, uint64_t set) {
  return __ldcg(StateOf(cache, set));
}

// A set that is locked. Lane 0 writes; the others see it after the next __syncwarp.
__device__ void WriteState(const CacheRef& cache, uint64_t set, CacheWord state, const Tile& tile) {
  __syncwarp(tile.mask);
  if (tile.lane == 0) __stcg(StateOf(cache, set), state | kCacheLock);
  __threadfence();
  __syncwarp(tile.mask);
}

__device__ int FreeWay(CacheWord state) {
  const unsigned free = static_cast<unsigned>(~state & kCacheAllWays);
  return __ffs(static_cast<int>(free)) - 1;
}

__device__ CacheWord WithoutWay(CacheWord state, int way) {
  return state &
         ~(CacheWord{1} << way | CacheWord{1} << (kCacheAbsentShift + way) | AgeBits(3, way));
}

__device__ CacheWord WithWay(CacheWord state, int way, bool absent, unsigned age) {
  return WithoutWay(state, way) | CacheWord{1} << way |
         static_cast<CacheWord>(absent) << (kCacheAbsentShift + way) | AgeBits(age, way);
}

__device__ void WriteKey(const CacheRef& cache, uint64_t set, int way, CacheWord key,
                         const Tile& tile) {
  if (tile.lane == 0) __stcg(cache.lines + set * kCacheLineWords + way, key);
}

// Both homes are full: a key of `set` moves to its other home if there is room. The way that is
// free then, or -1.
__device__ int MakeRoom(const CacheRef& cache, uint64_t set, const Homes& mine, const Tile& tile) {
  for (int way = 0; way < kCacheWays; ++way) {
    const CacheWord key = __ldcg(cache.lines + set * kCacheLineWords + way);
    const Homes homes = HomesOf(static_cast<int64_t>(key), cache.sets);
    const uint64_t other = homes.first == set ? homes.second : homes.first;
    if (other == mine.first || other == mine.second) continue;
    // All lanes act on what one lane read: a neighbour may change the state meanwhile.
    const CacheWord glance = __shfl_sync(tile.mask, ReadState(cache, other), 0, kTileLanes);
    if (FreeWay(glance) < 0 || !TryLock(cache, other, tile)) continue;
    const CacheWord there = ReadState(cache, other);
    const int to = FreeWay(there);
    if (to >= 0) {
      const CacheWord here = ReadState(cache, set);
      if (!IsAbsent(here, way)) {
        CopyBytes(RowOf(cache, set, way), RowOf(cache, other, to), cache.row_stride, 16, tile.lane);
      }
      WriteKey(cache, other, to, key, tile);
      WriteState(cache, other, WithWay(there, to, IsAbsent(here, way), AgeOf(here, way)), tile);
      WriteState(cache, set, WithoutWay(here, way), tile);
      if (tile.lane == 0) Count(cache, kCacheMoves, 1);
    }
    Unlock(cache, other, tile);
    if (to >= 0) return way;
  }
  return -1;
}

// The oldest way, the search starting anywhere so that equals share the fate.
__device__ int OldestWay(CacheWord state, uint64_t start) {
  int oldest = static_cast<int>(start % kCacheWays);
  for (int i = 1; i < kCacheWays; ++i) {
    const int way = static_cast<int>((start + i) % kCacheWays);
    if (AgeOf(state, way) < AgeOf(state, oldest)) oldest = way;
  }
  return oldest;
}

// Counts an eviction; every so many, all ways grow older by one.
__device__ CacheWord Aged(CacheWord state) {
  const unsigned evictions = static_cast<unsigned>(state >> kCacheEvictionShift) + 1;
  const CacheWord kept = state & ((CacheWord{1} << kCacheEvictionShift) - 1);
  if (evictions < kCacheEvictionsPerAge) {
    return kept | static_cast<CacheWord>(evictions) << kCacheEvictionShift;
  }
  CacheWord aged = kept;
  for (int way = 0; way < kCacheWays; ++way) {
    if (AgeOf(kept, way) != 0) aged -= AgeBits(1, way);
  }
  return aged;
}

// While there is room in general a full pair of homes is bad luck, which moving a key mends.
__device__ bool HasRoom(const CacheRef& cache) {
  const CacheWord ways = cache.sets * kCacheWays;
  const CacheWord taken =
      __ldcg(cache.counters + kCacheRows) + __ldcg(cache.counters + kCacheAbsent);
  return taken < ways - ways / 32;
}

// Where the key's row goes. Its two homes are locked.
__device__ Place PlaceFor(const CacheRef& cache, const Homes& homes, int64_t key,
                          const Tile& tile) {
  const CacheWord first = ReadState(cache, homes.first);
  const CacheWord second = ReadState(cache, homes.second);
  const bool second_is_emptier = __popc(static_cast<unsigned>(second & kCacheAllWays)) <
                                 __popc(static_cast<unsigned>(first & kCacheAllWays));
  const uint64_t emptier = second_is_emptier ? homes.second : homes.first;
  int way = FreeWay(second_is_emptier ? second : first);
  if (way >= 0) return {emptier, way, ReadState(cache, emptier)};
  const int room = __shfl_sync(tile.mask, static_cast<int>(HasRoom(cache)), 0, kTileLanes);
  for (int home = 0; room != 0 && home < 2; ++home) {
    const uint64_t set = home == 0 ? homes.first : homes.second;
    way = MakeRoom(cache, set, homes, tile);
    if (way >= 0) return {set, way, ReadState(cache, set)};
  }
  const uint64_t start = HashKey(key);
  const int in_first = OldestWay(first, start);
  const int in_second = OldestWay(second, start);
  const bool take_second = AgeOf(second, in_second) < AgeOf(first, in_first);
  const uint64_t set = take_second ? homes.second : homes.first;
  const CacheWord state = take_second ? second : first;
  way = take_second ? in_second : in_first;
  if (tile.lane == 0) {
    Count(cache, IsAbsent(state, way) ? kCacheAbsent : kCacheRows, -1);
    Count(cache, kCacheEvictions, 1);
  }
  return {set, way, Aged(WithoutWay(state, way))};
}

__device__ void InsertKey(const CacheRef& cache, const CacheFillArgs& args, uint64_t i,
                          const Tile& tile) {
  const uint8_t keep = __ldg(args.keep + i);
  if (keep == 0) return;
  const bool absent = keep == CacheFillArgs::kKeepAbsent;
  const int64_t key = __ldg(reinterpret_cast<const long long*>(args.keys) + i);
  const Homes homes = HomesOf(key, cache.sets);
  const uint64_t low = homes.first < homes.second ? homes.first : homes.second;
  const uint64_t high = homes.first < homes.second ? homes.second : homes.first;
  Lock(cache, low, tile);
  if (high != low) Lock(cache, high, tile);
  Place place = Find(cache, key, tile);
  const bool was_there = place.way >= 0;
  // A row that stands there is at least as new; a mark gives way to a row.
  if (!was_there || (IsAbsent(place.state, place.way) && !absent)) {
    if (!was_there) place = PlaceFor(cache, homes, key, tile);
    if (!absent) {
      CopyBytes(args.rows + i * cache.row_stride, RowOf(cache, place.set, place.way),
                cache.row_stride, 16, tile.lane);
    }
    WriteKey(cache, place.set, place.way, static_cast<CacheWord>(key), tile);
    // LRU with 3 here had 0.975 of exact LRU's hits (cache_policy_test), with 2 it has 1.008.
    const unsigned age = cache.policy == CachePolicy::kLru ? 2 : 1;
    WriteState(cache, place.set, WithWay(place.state, place.way, absent, age), tile);
    if (tile.lane == 0) {
      Count(cache, absent ? kCacheAbsent : kCacheRows, 1);
      if (was_there) Count(cache, kCacheAbsent, -1);
    }
  }
  if (high != low) Unlock(cache, high, tile);
  Unlock(cache, low, tile);
}

__global__ void __launch_bounds__(kBlockThreads) Insert(CacheRef cache, CacheFillArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  for (uint64_t i = FirstOfWarp() + tile.base / kTileLanes; i < args.n; i += step) {
    InsertKey(cache, args, i, tile);
  }
}

// No two tiles have the same key, and no key moves: the sets need no lock.
__global__ void __launch_bounds__(kBlockThreads) Update(CacheRef cache, CacheUpdateArgs args) {
  const Tile tile = ThisTile();
  const uint64_t step = TilesInGrid();
  for (uint64_t i = FirstOfWarp() + tile.base / kTileLanes; i < args.n; i += step) {
    const int64_t key = __ldg(reinterpret_cast<const long long*>(args.keys) + i);
    const Place place = Find(cache, key, tile);
    if (place.way < 0) continue;
    const bool was_absent = IsAbsent(place.state, place.way);
    const CacheWord absent_bit = CacheWord{1} << (kCacheAbsentShift + place.way);
    if (args.rows != nullptr) {
      CopyBytes(args.rows + i * cache.row_stride, RowOf(cache, place.set, place.way),
                cache.row_stride, 16, tile.lane);
    }
    if (tile.lane != 0) continue;
    if (args.rows == nullptr) {
      atomicAnd(StateOf(cache, place.set), ~(CacheWord{1} << place.way | absent_bit));
      Count(cache, was_absent ? kCacheAbsent : kCacheRows, -1);
      if (args.progress == nullptr) continue;
      const unsigned at = atomicAdd(&args.progress->missed, 1u);
      __stcg(reinterpret_cast<long long*>(args.taken.keys) + at, static_cast<long long>(key));
    } else if (was_absent) {
      atomicAnd(StateOf(cache, place.set), ~absent_bit);
      Count(cache, kCacheAbsent, -1);
      Count(cache, kCacheRows, 1);
    }
  }
  if (args.progress != nullptr) FinishLookup(args.taken, args.progress);
}

}  // namespace

cudaError_t LaunchWriteMisses(const CacheRef& cache, const CacheFillArgs& args, unsigned max_blocks,
                              cudaStream_t stream) {
  return LaunchTiles(WriteMisses, cache, args, args.misses, max_blocks, stream);
}

cudaError_t LaunchInsert(const CacheRef& cache, const CacheFillArgs& args, unsigned max_blocks,
                         cudaStream_t stream) {
  return LaunchTiles(Insert, cache, args, args.n, max_blocks, stream);
}

cudaError_t LaunchUpdate(const CacheRef& cache, const CacheUpdateArgs& args, unsigned max_blocks,
                         cudaStream_t stream) {
  return LaunchTiles(Update, cache, args, args.n, max_blocks, stream);
}

}  // namespace tf_hps
