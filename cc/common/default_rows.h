// Which of a table's default rows an id without a row gets. nvcc reads it, so there is no absl.
#ifndef TF_HPS_CC_COMMON_DEFAULT_ROWS_H_
#define TF_HPS_CC_COMMON_DEFAULT_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "cc/common/key.h"

namespace tf_hps {

// always_inline and constexpr as in hash.h: for files with other vector flags, and device code.
#define TF_HPS_EVERYWHERE __attribute__((always_inline)) constexpr

// FarmHash's Fingerprint64 of a short text (Pike and Alakuijala,
// https://github.com/google/farmhash), which TensorFlow's StringToHashBucketFast takes modulo the
// buckets.
namespace farmhash {

constexpr uint64_t kMul0 = 0xc3a5c85c97cb3127ULL;
constexpr uint64_t kMul1 = 0xb492b66fbe98f273ULL;
constexpr uint64_t kMul2 = 0x9ae16a3b2f90404fULL;

TF_HPS_EVERYWHERE uint64_t Load(const char* text, int bytes) {
  uint64_t word = 0;
  for (int i = 0; i < bytes; ++i) {
    word |= static_cast<uint64_t>(static_cast<unsigned char>(text[i])) << 8 * i;
  }
  return word;
}
TF_HPS_EVERYWHERE uint64_t Rotate(uint64_t x, int by) { return x >> by | x << (64 - by); }
TF_HPS_EVERYWHERE uint64_t ShiftMix(uint64_t x) { return x ^ x >> 47; }
TF_HPS_EVERYWHERE uint64_t Join(uint64_t u, uint64_t v, uint64_t mul) {
  const uint64_t a = ShiftMix((u ^ v) * mul);
  return ShiftMix((v ^ a) * mul) * mul;
}

// Of 1 to 32 bytes.
TF_HPS_EVERYWHERE uint64_t Fingerprint(const char* text, int bytes) {
  const uint64_t n = static_cast<uint64_t>(bytes);
  const uint64_t mul = kMul2 + n * 2;
  if (bytes > 16) {
    const uint64_t a = Load(text, 8) * kMul1;
    const uint64_t b = Load(text + 8, 8);
    const uint64_t c = Load(text + bytes - 8, 8) * mul;
    const uint64_t d = Load(text + bytes - 16, 8) * kMul2;
    return Join(Rotate(a + b, 43) + Rotate(c, 30) + d, a + Rotate(b + kMul2, 18) + c, mul);
  }
  if (bytes >= 8) {
    const uint64_t a = Load(text, 8) + kMul2;
    const uint64_t b = Load(text + bytes - 8, 8);
    return Join(Rotate(b, 37) * mul + a, (Rotate(a, 25) + b) * mul, mul);
  }
  if (bytes >= 4) return Join(n + (Load(text, 4) << 3), Load(text + bytes - 4, 4), mul);
  const uint64_t ends = Load(text, 1) + (Load(text + (bytes >> 1), 1) << 8);
  const uint64_t last = n + (Load(text + bytes - 1, 1) << 2);
  return ShiftMix(ends * kMul2 ^ last * kMul0) * kMul2;
}

}  // namespace farmhash

// By what an id's bucket is found.
enum class BucketRule : uint8_t {
  kFloorMod,            // the id itself
  kFingerprint,         // the id, which is the 64-bit fingerprint of a word
  kDecimalFingerprint,  // the fingerprint of the id's decimal digits
};

// As many default rows as there are buckets for ids without a row.
struct DefaultBuckets {
  uint32_t count = 1;
  BucketRule rule = BucketRule::kFloorMod;

  TF_HPS_EVERYWHERE uint32_t Of(Key key) const {
    if (count == 1) return 0;
    if (rule == BucketRule::kFloorMod) {
      const int64_t n = count;
      const int64_t rest = key % n;
      return static_cast<uint32_t>(rest < 0 ? rest + n : rest);
    }
    uint64_t hash = static_cast<uint64_t>(key);
    if (rule == BucketRule::kDecimalFingerprint) hash = OfDigits(hash, key < 0);
    return static_cast<uint32_t>(hash % count);
  }

 private:
  TF_HPS_EVERYWHERE static uint64_t OfDigits(uint64_t bits, bool is_negative) {
    constexpr int kDigits = 20;  // of INT64_MIN, with its sign
    char text[kDigits] = {};
    int begin = kDigits;
    uint64_t left = is_negative ? 0 - bits : bits;
    do {
      text[--begin] = static_cast<char>('0' + left % 10);
      left /= 10;
    } while (left != 0);
    if (is_negative) text[--begin] = '-';
    return farmhash::Fingerprint(text + begin, kDigits - begin);
  }
};

#undef TF_HPS_EVERYWHERE

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_DEFAULT_ROWS_H_
