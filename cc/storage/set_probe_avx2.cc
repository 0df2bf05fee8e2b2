#include "cc/storage/set_probe_pipeline.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace tf_hps {
namespace {

struct Avx2 {
  static uint32_t Match(const KeySet* set, Key key) {
    static_assert(KeySet::kWays == 5, "four keys and one");
    const __m256i first = _mm256_load_si256(reinterpret_cast<const __m256i*>(set));
    const __m256i equal = _mm256_cmpeq_epi64(first, _mm256_set1_epi64x(key));
    const uint32_t fifth = set->keys[4].load(std::memory_order_relaxed) == key ? 1 : 0;
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(equal))) | fifth << 4;
  }

  static void Copy(const uint8_t* from, uint8_t* to, size_t bytes) {
    size_t i = 0;
    for (; i + 32 <= bytes; i += 32) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i)));
    }
    for (; i + 8 <= bytes; i += 8) __builtin_memcpy(to + i, from + i, 8);
    for (; i < bytes; ++i) to[i] = from[i];
  }
};

}  // namespace

SetProbeFunctions SetProbeAvx2() { return ProbesOf<Avx2>(); }

}  // namespace tf_hps

#else  // Another architecture than x86.

namespace tf_hps {
SetProbeFunctions SetProbeAvx2() { return SetProbePortable(); }
}  // namespace tf_hps

#endif
