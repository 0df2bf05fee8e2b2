#include <immintrin.h>

#include "cc/common/row_codec_decoders.h"

namespace tf_hps {
namespace {

struct Avx512 {
  static constexpr int64_t kLanes = 16;

  template <RowFormat kFormat>
  static __m512 Load(const uint8_t* elements, int64_t i, float scale) {
    switch (kFormat) {
      case RowFormat::kFloat32:
        return _mm512_loadu_ps(elements + 4 * i);
      case RowFormat::kFloat16:
        return _mm512_cvtph_ps(Halves(elements, i));
      case RowFormat::kBfloat16:
        return _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(Halves(elements, i)), 16));
      case RowFormat::kInt8:
        return _mm512_div_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(elements + i)))),
                             _mm512_set1_ps(scale));
    }
  }

  template <ElementType kOut>
  static void Store(uint8_t* out, int64_t i, __m512 v) {
    if (kOut == ElementType::kFloat32) {
      _mm512_storeu_ps(out + 4 * i, v);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i),
                          kOut == ElementType::kFloat16
                              ? _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
                              : Bfloat16(v));
    }
  }

 private:
  static __m256i Halves(const uint8_t* elements, int64_t i) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(elements + 2 * i));
  }
  static __m256i Bfloat16(__m512 v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(
        _mm512_mask_or_epi32(rounded, is_nan, upper, _mm512_set1_epi32(0x40)));
  }
};

}  // namespace

DecodeRow SelectDecodeRowAvx512(RowFormat format, ElementType out) {
  return row_codec::SelectFrom<Avx512>(format, out);
}

}  // namespace tf_hps
