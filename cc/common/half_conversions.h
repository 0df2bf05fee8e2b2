// Included by row_codec*.cc and device code only (which constexpr is for): internal linkage, so
// that each file keeps the copy compiled with its own vector flags. Integer arithmetic, so that
// threads that flush denormals (TensorFlow's do) give the same bytes, and the bytes of the F16C
// instructions.
#ifndef TF_HPS_CC_COMMON_HALF_CONVERSIONS_H_
#define TF_HPS_CC_COMMON_HALF_CONVERSIONS_H_

#include <cstdint>

namespace tf_hps {
namespace {

constexpr uint32_t FloatBits(float x) { return __builtin_bit_cast(uint32_t, x); }
constexpr float FloatFromBits(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// `bits` without its lowest `drop` bits (1 to 31), rounded to nearest even.
constexpr uint32_t RoundShift(uint32_t bits, int drop) {
  return (bits + ((1u << (drop - 1)) - 1) + (bits >> drop & 1)) >> drop;
}

constexpr uint16_t HalfFromFloat(float x) {
  const uint32_t bits = FloatBits(x);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) {  // NaN: quiet, the payload's upper bits kept
    return static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  }
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // 65520: infinity
  if (magnitude >= 0x38800000) {  // 2^-14: normal; the exponent's bias is 127 here, 15 there
    return static_cast<uint16_t>(sign | RoundShift(magnitude - (112u << 23), 13));
  }
  if (magnitude < 0x33000000) return static_cast<uint16_t>(sign);  // below 2^-25: zero
  const int exponent = static_cast<int>(magnitude >> 23);
  return static_cast<uint16_t>(sign |
                               RoundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent));
}

constexpr float FloatFromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  if (exponent == 0x1f) {
    const uint32_t quiet = fraction != 0 ? 0x400000u : 0;
    return FloatFromBits(sign | 0x7f800000 | quiet | fraction << 13);
  }
  if (exponent != 0) return FloatFromBits(sign | (exponent + 112) << 23 | fraction << 13);
  // Below 2^-14: fraction * 2^-24, which no float32 rounds or flushes.
  return FloatFromBits(sign | FloatBits(static_cast<float>(fraction) * 0x1p-24f));
}

constexpr uint16_t Bfloat16FromFloat(float x) {
  const uint32_t bits = FloatBits(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>(RoundShift(bits, 16));
}

constexpr float FloatFromBfloat16(uint16_t half) {
  return FloatFromBits(static_cast<uint32_t>(half) << 16);
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_HALF_CONVERSIONS_H_
