#include "cc/common/key_choice.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace tf_hps {

#if defined(__AVX2__)
namespace {

size_t Choose(const Key* keys, size_t n, const KeyChoice& choice, Key* chosen) {
  const __m256i seed = _mm256_set1_epi64x(static_cast<int64_t>(choice.seed()));
  const __m256i limit = _mm256_set1_epi64x(choice.limit());
  const __m256i low = _mm256_set1_epi64x(KeyChoice::kLow);
  const __m256i high = _mm256_set1_epi64x(KeyChoice::kHigh);
  const __m256i last = _mm256_set1_epi64x(KeyChoice::kLast);
  size_t count = 0, i = 0;
  for (; i + 4 <= n; i += 4) {
    const __m256i x =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys + i)), seed);
    __m256i h = _mm256_add_epi64(_mm256_mul_epu32(x, low),
                                 _mm256_mul_epu32(_mm256_srli_epi64(x, 32), high));
    h = _mm256_xor_si256(h, _mm256_srli_epi64(h, 32));
    h = _mm256_slli_epi64(_mm256_mul_epu32(h, last), 32);
    int mask = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, h)));
    for (; mask != 0; mask &= mask - 1) chosen[count++] = keys[i + __builtin_ctz(mask)];
  }
  for (; i < n; ++i) {
    chosen[count] = keys[i];
    count += choice.Has(keys[i]) ? 1 : 0;
  }
  return count;
}

}  // namespace

ChooseKeys ChooseKeysAvx2() { return &Choose; }
#else  // Another architecture than x86.
ChooseKeys ChooseKeysAvx2() { return ChooseKeysPortable(); }
#endif

}  // namespace tf_hps
