#ifndef TF_HPS_CC_COMMON_KEY_CHOICE_H_
#define TF_HPS_CC_COMMON_KEY_CHOICE_H_

#include <cstddef>
#include <cstdint>

#include "cc/common/key.h"
#include "cc/common/row_codec.h"

namespace tf_hps {

// One in 2^log2_of key values, the same ones each time: those whose hash is low. Another seed
// chooses others.
class KeyChoice {
 public:
  KeyChoice(uint64_t seed, int log2_of)
      : seed_(seed),
        limit_(log2_of == 0
                   ? INT64_MAX
                   : static_cast<int64_t>((uint64_t{1} << 63) + (uint64_t{1} << (64 - log2_of)))) {}

  // Lives in the loop of every lookup, so it is made of what AVX2 has for 64-bit lanes: products of
  // 32-bit halves. The high half of a product folds onto the low one, or keys that differ in their
  // high bits alone would be alike.
  __attribute__((always_inline)) bool Has(Key key) const {
    const uint64_t x = static_cast<uint64_t>(key) ^ seed_;
    uint64_t h = (x & 0xffffffff) * kLow + (x >> 32) * kHigh;
    h ^= h >> 32;
    return static_cast<int64_t>((h & 0xffffffff) * kLast << 32) < limit_;
  }

  static constexpr uint64_t kLow = 0x9e3779b1, kHigh = 0x85ebca77, kLast = 0xc2b2ae3d;

  uint64_t seed() const { return seed_; }
  int64_t limit() const { return limit_; }

 private:
  uint64_t seed_;
  int64_t limit_;  // of the hash, as a signed number: AVX2 compares no others
};

// Writes those of keys[0, n) that are chosen to `chosen`, in their order; how many. `chosen` has
// room for n keys and kChoiceSlack more.
using ChooseKeys = size_t (*)(const Key* keys, size_t n, const KeyChoice& choice, Key* chosen);
constexpr size_t kChoiceSlack = 8;

ChooseKeys SelectChooseKeys(CpuIsa isa);

ChooseKeys ChooseKeysPortable();
ChooseKeys ChooseKeysAvx2();
ChooseKeys ChooseKeysAvx512();

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_KEY_CHOICE_H_
