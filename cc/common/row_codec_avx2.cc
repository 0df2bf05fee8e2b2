#include <immintrin.h>

#include "cc/common/row_codec_decoders.h"

namespace tf_hps {
namespace {

struct Avx2 {
  static constexpr int64_t kLanes = 8;

  template <RowFormat kFormat>
  static __m256 Load(const uint8_t* elements, int64_t i, float scale) {
    switch (kFormat) {
      case RowFormat::kFloat32:
        return _mm256_loadu_ps(reinterpret_cast<const float*>(elements + 4 * i));
      case RowFormat::kFloat16:
        return _mm256_cvtph_ps(Halves(elements, i));
      case RowFormat::kBfloat16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(Halves(elements, i)), 16));
      case RowFormat::kInt8:
        return _mm256_div_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
                                 _mm_loadl_epi64(reinterpret_cast<const __m128i*>(elements + i)))),
                             _mm256_set1_ps(scale));
    }
  }

  template <ElementType kOut>
  static void Store(uint8_t* out, int64_t i, __m256 v) {
    if (kOut == ElementType::kFloat32) {
      _mm256_storeu_ps(reinterpret_cast<float*>(out + 4 * i), v);
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * i),
                       kOut == ElementType::kFloat16
                           ? _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
                           : Bfloat16(v));
    }
  }

 private:
  static __m128i Halves(const uint8_t* elements, int64_t i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(elements + 2 * i));
  }
  static __m128i Bfloat16(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i words = _mm256_blendv_epi8(rounded, quiet, is_nan);
    // packus works in each 128-bit half; both values are below 2^16, so nothing saturates.
    return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
};

}  // namespace

DecodeRow SelectDecodeRowAvx2(RowFormat format, ElementType out) {
  return row_codec::SelectFrom<Avx2>(format, out);
}

}  // namespace tf_hps
