#include "cc/common/row_codec.h"

#include <cfloat>
#include <cmath>

#include "cc/common/row_decoders.h"

namespace tf_hps {
namespace {

// One element at a time, for CPUs without AVX2.
struct OneFloat {
  using Type = float;
  static constexpr int kWidth = 1;

  static float One() { return 1; }
  static float Scale(const uint8_t* row) { return Load<RowFormat::kFloat32>(row); }
  static float Divide(float x, float scale) { return x / scale; }

  template <RowFormat kFormat>
  static float Load(const uint8_t* in) {
    if (kFormat == RowFormat::kInt8) return static_cast<float>(static_cast<int8_t>(*in));
    if (kFormat == RowFormat::kFloat32) {
      float x;
      __builtin_memcpy(&x, in, 4);
      return x;
    }
    uint16_t half;
    __builtin_memcpy(&half, in, 2);
    return kFormat == RowFormat::kFloat16 ? FloatFromHalf(half) : FloatFromBfloat16(half);
  }
  template <ElementType kOut>
  static void Store(float x, uint8_t* out) {
    if (kOut == ElementType::kFloat32) {
      __builtin_memcpy(out, &x, 4);
    } else {
      const uint16_t half = kOut == ElementType::kFloat16 ? HalfFromFloat(x) : Bfloat16FromFloat(x);
      __builtin_memcpy(out, &half, 2);
    }
  }
  template <RowFormat kFormat>
  static float LoadSome(const uint8_t* in, int) {
    return Load<kFormat>(in);
  }
  template <ElementType kOut>
  static void StoreSome(float x, uint8_t* out, int) {
    Store<kOut>(x, out);
  }
};

// See docs/formats.md. A row with a NaN or an infinity has no scale: it gets NaN, and decodes to
// NaN everywhere instead of to wrong numbers.
template <RowFormat kElements>
void EncodeInt8(const uint8_t* elements, uint8_t* row, int64_t embedding_dim) {
  constexpr int64_t kIn = kElements == RowFormat::kFloat32 ? 4 : 2;
  uint32_t largest = 0;  // as bits: magnitudes of floats order like integers, NaN above all
  for (int64_t i = 0; i < embedding_dim; ++i) {
    const uint32_t bits = FloatBits(OneFloat::Load<kElements>(elements + i * kIn)) & 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  float scale = largest == 0 ? 1.0f : 127.0f / FloatFromBits(largest);
  if (scale > FLT_MAX) scale = FLT_MAX;  // rows of denormals
  const bool finite = largest < 0x7f800000;
  if (!finite) scale = NAN;
  __builtin_memcpy(row, &scale, 4);
  for (int64_t i = 0; i < embedding_dim; ++i) {
    float x = finite ? OneFloat::Load<kElements>(elements + i * kIn) * scale : 0.0f;
    x = x > 127.0f ? 127.0f : x < -127.0f ? -127.0f : x;
    // Adding and taking off 1.5 * 2^23 rounds half to even, and vectorizes where rint does not.
    x = (x + 12582912.0f) - 12582912.0f;
    row[4 + i] = static_cast<uint8_t>(static_cast<int8_t>(x));
  }
}

RowFormat FormatOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return RowFormat::kFloat16;
    case ElementType::kBfloat16:
      return RowFormat::kBfloat16;
    case ElementType::kFloat32:
      break;
  }
  return RowFormat::kFloat32;
}

}  // namespace

DecodeRow SelectDecodeRowPortable(RowFormat format, ElementType out) {
  return SelectDecoder<OneFloat>(format, out);
}

DecodeRow SelectDecodeRow(RowFormat format, ElementType out, CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return SelectDecodeRowAvx512(format, out);
    case CpuIsa::kAvx2:
      return SelectDecodeRowAvx2(format, out);
    case CpuIsa::kPortable:
      break;
  }
  return SelectDecodeRowPortable(format, out);
}

EncodeRow SelectEncodeRow(ElementType in, RowFormat format) {
  switch (format) {
    case RowFormat::kInt8:
      return in == ElementType::kFloat32   ? &EncodeInt8<RowFormat::kFloat32>
             : in == ElementType::kFloat16 ? &EncodeInt8<RowFormat::kFloat16>
                                           : &EncodeInt8<RowFormat::kBfloat16>;
    // The floating-point formats convert to each other in both directions the same way.
    case RowFormat::kFloat32:
      return SelectDecodeRow(FormatOf(in), ElementType::kFloat32, SelectedCpuIsa());
    case RowFormat::kFloat16:
      return SelectDecodeRow(FormatOf(in), ElementType::kFloat16, SelectedCpuIsa());
    case RowFormat::kBfloat16:
      break;
  }
  return SelectDecodeRow(FormatOf(in), ElementType::kBfloat16, SelectedCpuIsa());
}

// Lock-free readers copy rows that may be written meanwhile: no memcpy (CMakeLists.txt).
void CopyFoundRow(const uint8_t* row, uint8_t* out, int64_t row_bytes) {
  for (int64_t i = 0; i < row_bytes; ++i) out[i] = row[i];
  out[row_bytes] = 1;
}

bool IsPlainCopy(RowFormat format, ElementType out) {
  return format != RowFormat::kInt8 && format == FormatOf(out);
}

}  // namespace tf_hps
