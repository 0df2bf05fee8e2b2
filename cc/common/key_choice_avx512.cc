#include "cc/common/key_choice.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace tf_hps {

#if defined(__AVX512F__)
namespace {

size_t Choose(const Key* keys, size_t n, const KeyChoice& choice, Key* chosen) {
  const __m512i seed = _mm512_set1_epi64(static_cast<int64_t>(choice.seed()));
  const __m512i limit = _mm512_set1_epi64(choice.limit());
  const __m512i low = _mm512_set1_epi64(KeyChoice::kLow);
  const __m512i high = _mm512_set1_epi64(KeyChoice::kHigh);
  const __m512i last = _mm512_set1_epi64(KeyChoice::kLast);
  size_t count = 0;
  for (size_t i = 0; i < n; i += 8) {
    const __mmask8 there = n - i >= 8 ? 0xff : static_cast<__mmask8>((1u << (n - i)) - 1);
    const __m512i loaded = _mm512_maskz_loadu_epi64(there, keys + i);
    const __m512i x = _mm512_xor_epi64(loaded, seed);
    __m512i h = _mm512_add_epi64(_mm512_mul_epu32(x, low),
                                 _mm512_mul_epu32(_mm512_srli_epi64(x, 32), high));
    h = _mm512_xor_epi64(h, _mm512_srli_epi64(h, 32));
    h = _mm512_slli_epi64(_mm512_mul_epu32(h, last), 32);
    const __mmask8 mask = _mm512_mask_cmpgt_epi64_mask(there, limit, h);
    // All lanes are stored, into the slack at the end: a masked store to memory is slow on some.
    _mm512_storeu_si512(chosen + count, _mm512_maskz_compress_epi64(mask, loaded));
    count += static_cast<size_t>(__builtin_popcount(mask));
  }
  return count;
}

}  // namespace

ChooseKeys ChooseKeysAvx512() { return &Choose; }
#else  // Another architecture than x86.
ChooseKeys ChooseKeysAvx512() { return ChooseKeysPortable(); }
#endif

}  // namespace tf_hps
