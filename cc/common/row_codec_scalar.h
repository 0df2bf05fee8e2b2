#ifndef TF_HPS_CC_COMMON_ROW_CODEC_SCALAR_H_
#define TF_HPS_CC_COMMON_ROW_CODEC_SCALAR_H_

#include <cstdint>
#include <cstring>

// One element at a time, bit for bit what the vector instructions do. `static`, because this is
// also compiled with vector flags: one shared copy might be the one that needs AVX-512.
namespace tf_hps {

static inline uint32_t FloatBits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, sizeof(bits));
  return bits;
}

static inline float FloatFromBits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, sizeof(f));
  return f;
}

static inline float FloatFromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0x1f) {  // NaNs become quiet, as vcvtph2ps makes them
    return FloatFromBits(sign | 0x7f800000 | (mantissa << 13) | (mantissa != 0 ? 0x400000 : 0));
  }
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact
    return FloatFromBits(sign | FloatBits(static_cast<float>(mantissa) * 5.9604644775390625e-8f));
  }
  return FloatFromBits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

static inline uint16_t HalfFromFloat(float f) {
  const uint32_t bits = FloatBits(f);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) {
    return sign | 0x7e00 | static_cast<uint16_t>((magnitude >> 13) & 0x3ff);
  }
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and more round to infinity
  if (magnitude < 0x33000001) return sign;            // up to 2^-25 rounds to zero
  uint32_t kept, rest, half_way;
  if (magnitude < 0x38800000) {  // below 2^-14: subnormal
    const uint32_t shift = 126 - (magnitude >> 23);
    const uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    kept = mantissa >> shift;
    rest = mantissa & ((1u << shift) - 1);
    half_way = 1u << (shift - 1);
  } else {
    kept = (magnitude - 0x38000000) >> 13;
    rest = magnitude & 0x1fff;
    half_way = 0x1000;
  }
  if (rest > half_way || (rest == half_way && (kept & 1) != 0)) ++kept;
  return sign | static_cast<uint16_t>(kept);
}

static inline float FloatFromBfloat16(uint16_t b) {
  return FloatFromBits(static_cast<uint32_t>(b) << 16);
}

static inline uint16_t Bfloat16FromFloat(float f) {
  const uint32_t bits = FloatBits(f);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_CODEC_SCALAR_H_
