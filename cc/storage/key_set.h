#ifndef TF_HPS_CC_STORAGE_KEY_SET_H_
#define TF_HPS_CC_STORAGE_KEY_SET_H_

#include <atomic>
#include <cstdint>

#include "cc/common/hash.h"
#include "cc/common/key.h"

namespace tf_hps {

// Five keys and where their rows are, in one cache line: a lookup whose key is in its first home
// touches this line and the row, nothing else. (Eight keys and a second line for the row numbers
// touch one line more per key, a quarter of the traffic at 64 floats a row: benchmarks/README.md,
// "memory store".)
//
// There is no mask of used ways: a free way holds a key that has no home in this set (KeyIndex's
// FreeKey), so comparing keys is enough. All zeros is an empty set, fresh memory needs no pass over
// it.
//
// A set is a seqlock. Writers lock it; readers take its head, read, and check that the head still
// stands. The functions are always_inline: files with other vector flags include them, and the
// linker must not pick their copy for everybody.
struct alignas(64) KeySet {
  static constexpr int kWays = 5;

  // Codes of rows[]. From kFirstRow on: the number of the row plus kFirstRow.
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kAbsent = 1;  // nobody below knows the key
  static constexpr uint32_t kFirstRow = 2;

  // Parts of head. The version is at the top, where its overflow harms nobody.
  static constexpr uint32_t kSpilledMask =
      0xf;  // keys of this home that live elsewhere; 15: or more
  static constexpr uint32_t kLocked = 0x10;

  std::atomic<Key> keys[kWays];
  std::atomic<uint32_t> rows[kWays];
  std::atomic<uint32_t> head;
};
static_assert(sizeof(KeySet) == 64, "one cache line");

// The sets where a key may live, out of `num_sets` (2 or more): never the same twice.
__attribute__((always_inline)) inline uint64_t FirstHome(uint64_t hash, uint64_t num_sets) {
  return ReduceHash(hash, num_sets);
}
// By the other half of the hash.
__attribute__((always_inline)) inline uint64_t SecondHome(uint64_t hash, uint64_t num_sets) {
  const uint64_t other = ReduceHash(hash << 32 | hash >> 32, num_sets - 1);
  return other + (other >= ReduceHash(hash, num_sets) ? 1 : 0);
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_KEY_SET_H_
