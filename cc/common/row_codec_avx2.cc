#include "cc/common/row_decoders.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace tf_hps {
namespace {

struct EightFloats {
  using Type = __m256;
  static constexpr int kWidth = 8;

  static __m256 One() { return _mm256_set1_ps(1.0f); }
  static __m256 Scale(const uint8_t* row) {
    float scale;
    __builtin_memcpy(&scale, row, 4);
    return _mm256_set1_ps(scale);
  }
  static __m256 Divide(__m256 x, __m256 scale) { return _mm256_div_ps(x, scale); }

  template <RowFormat kFormat>
  static __m256 Load(const uint8_t* in) {
    const __m128i* const half = reinterpret_cast<const __m128i*>(in);
    switch (kFormat) {
      case RowFormat::kFloat32:
        return _mm256_loadu_ps(reinterpret_cast<const float*>(in));
      case RowFormat::kFloat16:
        return _mm256_cvtph_ps(_mm_loadu_si128(half));
      case RowFormat::kBfloat16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(half)), 16));
      case RowFormat::kInt8:
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(half)));
    }
  }
  template <ElementType kOut>
  static void Store(__m256 x, uint8_t* out) {
    __m128i* const half = reinterpret_cast<__m128i*>(out);
    switch (kOut) {
      case ElementType::kFloat32:
        return _mm256_storeu_ps(reinterpret_cast<float*>(out), x);
      case ElementType::kFloat16:
        return _mm_storeu_si128(half, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
      case ElementType::kBfloat16:
        return _mm_storeu_si128(half, ToBfloat16(x));
    }
  }

  // A row's last elements go by a whole vector beside it: AVX2 has no masks for small elements.
  template <RowFormat kFormat>
  static __m256 LoadSome(const uint8_t* in, int n) {
    constexpr int kIn = kFormat == RowFormat::kFloat32 ? 4 : kFormat == RowFormat::kInt8 ? 1 : 2;
    alignas(32) uint8_t whole[32] = {};
    for (int i = 0; i < n * kIn; ++i) whole[i] = in[i];
    return Load<kFormat>(whole);
  }
  template <ElementType kOut>
  static void StoreSome(__m256 x, uint8_t* out, int n) {
    constexpr int kOutBytes = kOut == ElementType::kFloat32 ? 4 : 2;
    alignas(32) uint8_t whole[32];
    Store<kOut>(x, whole);
    for (int i = 0; i < n * kOutBytes; ++i) out[i] = whole[i];
  }

 private:
  // See Bfloat16FromFloat.
  static __m128i ToBfloat16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i nan = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, nan, is_nan);
    const __m256i packed = _mm256_packus_epi32(words, words);  // each 128-bit half by itself
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x8));
  }
};

}  // namespace

DecodeRow SelectDecodeRowAvx2(RowFormat format, ElementType out) {
  return SelectDecoder<EightFloats>(format, out);
}

}  // namespace tf_hps

#else  // Another architecture than x86.

namespace tf_hps {
DecodeRow SelectDecodeRowAvx2(RowFormat format, ElementType out) {
  return SelectDecodeRowPortable(format, out);
}
}  // namespace tf_hps

#endif
