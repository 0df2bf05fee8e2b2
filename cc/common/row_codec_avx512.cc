#include "cc/common/row_decoders.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace tf_hps {
namespace {

struct SixteenFloats {
  using Type = __m512;
  static constexpr int kWidth = 16;

  static __m512 One() { return _mm512_set1_ps(1.0f); }
  static __m512 Scale(const uint8_t* row) {
    float scale;
    __builtin_memcpy(&scale, row, 4);
    return _mm512_set1_ps(scale);
  }
  static __m512 Divide(__m512 x, __m512 scale) { return _mm512_div_ps(x, scale); }

  template <RowFormat kFormat>
  static __m512 Load(const uint8_t* in) {
    return LoadMasked<kFormat>(in, 0xffff);
  }
  template <RowFormat kFormat>
  static __m512 LoadSome(const uint8_t* in, int n) {
    return LoadMasked<kFormat>(in, static_cast<__mmask16>((1u << n) - 1));
  }
  template <ElementType kOut>
  static void Store(__m512 x, uint8_t* out) {
    StoreMasked<kOut>(x, out, 0xffff);
  }
  template <ElementType kOut>
  static void StoreSome(__m512 x, uint8_t* out, int n) {
    StoreMasked<kOut>(x, out, static_cast<__mmask16>((1u << n) - 1));
  }

 private:
  // A mask of all ones, known when compiled, costs nothing.
  template <RowFormat kFormat>
  static __m512 LoadMasked(const uint8_t* in, __mmask16 mask) {
    switch (kFormat) {
      case RowFormat::kFloat32:
        return _mm512_maskz_loadu_ps(mask, in);
      case RowFormat::kFloat16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, in));
      case RowFormat::kBfloat16:
        return _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, in)), 16));
      case RowFormat::kInt8:
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, in)));
    }
  }
  template <ElementType kOut>
  static void StoreMasked(__m512 x, uint8_t* out, __mmask16 mask) {
    switch (kOut) {
      case ElementType::kFloat32:
        return _mm512_mask_storeu_ps(out, mask, x);
      case ElementType::kFloat16:
        return _mm256_mask_storeu_epi16(out, mask, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
      case ElementType::kBfloat16:
        return _mm256_mask_storeu_epi16(out, mask, ToBfloat16(x));
    }
  }

  // See Bfloat16FromFloat; vcvtneps2bf16 flushes denormals.
  static __m256i ToBfloat16(__m512 x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __m512i nan = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, rounded, nan));
  }
};

}  // namespace

DecodeRow SelectDecodeRowAvx512(RowFormat format, ElementType out) {
  return SelectDecoder<SixteenFloats>(format, out);
}

}  // namespace tf_hps

#else  // Another architecture than x86.

namespace tf_hps {
DecodeRow SelectDecodeRowAvx512(RowFormat format, ElementType out) {
  return SelectDecodeRowPortable(format, out);
}
}  // namespace tf_hps

#endif
