#ifndef TF_HPS_CC_COMMON_HASH_H_
#define TF_HPS_CC_COMMON_HASH_H_

#include <cstdint>

#include "cc/common/key.h"

namespace tf_hps {

// The finalizer of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators"): a bijection, so distinct keys never share all 64 bits, and ids that are neighbours
// land far apart.
//
// always_inline: files with other vector flags call it, and the linker must not pick their copy for
// all. constexpr: device code may call it.
__attribute__((always_inline)) constexpr uint64_t HashKey(Key key) {
  uint64_t h = static_cast<uint64_t>(key) + 0x9e3779b97f4a7c15ULL;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return h ^ (h >> 31);
}

// Maps a hash onto [0, n) by its high bits, for any n: a table is as large as asked, not the next
// power of two (Lemire: "Fast random integer generation in an interval").
__attribute__((always_inline)) constexpr uint64_t ReduceHash(uint64_t hash, uint64_t n) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * n) >> 64);
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_HASH_H_
