#include "cc/storage/set_probe_pipeline.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace tf_hps {
namespace {

struct Avx512 {
  static uint32_t Match(const KeySet* set, Key key) {
    static_assert(KeySet::kWays == 5, "the mask below");
    const __m512i line = _mm512_load_si512(set);
    return _mm512_mask_cmpeq_epi64_mask(0x1f, line, _mm512_set1_epi64(key));
  }

  static void Copy(const uint8_t* from, uint8_t* to, size_t bytes) {
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
    if (i < bytes) {
      const __mmask64 rest = (uint64_t{1} << (bytes - i)) - 1;
      _mm512_mask_storeu_epi8(to + i, rest, _mm512_maskz_loadu_epi8(rest, from + i));
    }
  }
};

}  // namespace

SetProbeFunctions SetProbeAvx512() { return ProbesOf<Avx512>(); }

}  // namespace tf_hps

#else  // Another architecture than x86.

namespace tf_hps {
SetProbeFunctions SetProbeAvx512() { return SetProbePortable(); }
}  // namespace tf_hps

#endif
