// What host and device code of the CUDA cache share: layout and arguments. nvcc reads it, so there
// is no absl.
#ifndef TF_HPS_CC_CACHE_CUDA_CACHE_REF_H_
#define TF_HPS_CC_CACHE_CUDA_CACHE_REF_H_

#include <cstdint>

#include "cc/common/default_rows.h"
#include "cc/common/row_types.h"

namespace tf_hps {

using CacheWord = unsigned long long;  // what CUDA's 64-bit atomics take

// A set is one line of 128 bytes: 15 keys and a word about them, so that a probe is one read.
//   bits 0-14   the way holds a key
//   bits 15-29  that key is one nobody knows: its row is the default row
//   bits 30-59  two bits a way, how recently or how often it was used
//   bit 60      a fill works on the set
//   bits 61-63  evictions since the set's ages were last lowered
// Row (set * 15 + way) lies apart. A key may be in either of its two homes.
constexpr int kCacheWays = 15;
constexpr int kCacheLineWords = 16;
constexpr int kCacheStateWord = 15;
constexpr CacheWord kCacheAllWays = (1u << kCacheWays) - 1;
constexpr int kCacheAbsentShift = 15;
constexpr int kCacheAgeShift = 30;
constexpr CacheWord kCacheLock = CacheWord{1} << 60;
constexpr int kCacheEvictionShift = 61;
// Three ages lie between the newest and the oldest of 15 ways: one level a third of a set.
constexpr int kCacheEvictionsPerAge = kCacheWays / 3;

enum class CachePolicy : uint8_t {
  kLru,  // a hit makes a row as young as any; a new one begins one below
  kLfu,  // a row grows with its hits, and a new one begins low: a scan drives out no hot rows
};

enum CacheCounter { kCacheRows, kCacheAbsent, kCacheEvictions, kCacheMoves, kCacheCounters };

// The cache on the device; trivially copyable, owns nothing.
struct CacheRef {
  CacheWord* lines;
  unsigned char* rows;
  CacheWord* counters;
  uint64_t sets;
  uint32_t row_stride;  // row bytes, rounded up to 16
  uint32_t embedding_dim;
  RowFormat format;
  CachePolicy policy;
};

// Where decoded rows go: position p to rows + p * row_bytes.
struct CacheOutput {
  unsigned char* rows;
  const unsigned char* default_row;  // of each bucket row_bytes, decoded already
  DefaultBuckets default_buckets;
  uint32_t row_bytes;
  ElementType type;
  // Stored and decoded rows are equal bytes, copied in words of so many; 0: they are converted.
  uint32_t copy_width;
  bool by_fours;  // rows are converted four elements at a time
};

// Counts of a lookup under way, in device memory: zero between lookups.
struct CacheProgress {
  unsigned missed;
  unsigned warps_done;
};

// In pinned host memory: written by the kernel, no copy follows.
struct CacheMissList {
  int64_t* keys;
  uint32_t* positions;
  uint32_t* count;
};

struct CacheLookupArgs {
  const int64_t* keys;
  uint32_t n;
  CacheOutput out;
  bool misses_get_default;
  CacheMissList misses;
  CacheProgress* progress;
};

// An id of a vocabulary as a key; without one (size 0) they are the same.
constexpr int64_t KeyOfId(int64_t id, int64_t vocabulary_size, bool wraps_negatives) {
  return wraps_negatives && id < 0 && id >= -vocabulary_size ? id + vocabulary_size : id;
}
constexpr bool IsInRange(int64_t key, int64_t vocabulary_size) {
  return vocabulary_size == 0 || (key >= 0 && key < vocabulary_size);
}

struct CacheIdsArgs {
  const void* ids;
  bool narrow;
  uint32_t n;
  int64_t vocabulary_size;
  bool wraps_negatives;
  int64_t* keys;
  CacheMissList bad;        // ids out of range
  CacheProgress* progress;  // null: nobody asks
};

// What a fill carries, in device memory; rows in the table's format, row_stride apart.
struct CacheFillArgs {
  static constexpr uint8_t kKeepRow = 1;     // into the cache
  static constexpr uint8_t kKeepAbsent = 2;  // remember that nobody knows the key
  // And below it, for the buckets.
  static constexpr uint32_t kDefaultRow = 0xffffffffu;
  const int64_t* keys;
  const unsigned char* rows;
  const uint8_t* keep;
  uint32_t n;
  const uint32_t* positions;    // in the output
  const uint32_t* row_of_miss;  // index into rows, or kDefaultRow - bucket
  uint32_t misses;
  CacheOutput out;
};

struct CacheUpdateArgs {
  const int64_t* keys;        // each once
  const unsigned char* rows;  // row_stride apart; null: the keys are erased
  uint32_t n;
  // Where erased keys that were resident go, positions aside; progress null: nowhere.
  CacheMissList taken;
  CacheProgress* progress;
};

struct CacheCombineArgs {
  const int64_t* keys;
  const float* rows;      // not null: the ids' rows, embedding_dim float32 each; no key is asked
  const int64_t* splits;  // bag b has positions [splits[b], splits[b + 1])
  const float* weights;   // null: all 1
  uint32_t bags;
  uint8_t combiner;  // 0 sum, 1 mean, 2 sqrtn
  CacheOutput out;
  const float* default_row;  // of each bucket embedding_dim
  DefaultBuckets default_buckets;
  CacheMissList misses;  // room for every position
  CacheProgress* progress;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_CACHE_REF_H_
