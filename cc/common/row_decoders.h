// Included by row_codec*.cc only; internal linkage, see half_conversions.h.
#ifndef TF_HPS_CC_COMMON_ROW_DECODERS_H_
#define TF_HPS_CC_COMMON_ROW_DECODERS_H_

#include "cc/common/half_conversions.h"
#include "cc/common/row_codec.h"

namespace tf_hps {

// The conversions of one instruction set: never null. Rows of equal type are copied.
DecodeRow SelectDecodeRowPortable(RowFormat format, ElementType out);
DecodeRow SelectDecodeRowAvx2(RowFormat format, ElementType out);
DecodeRow SelectDecodeRowAvx512(RowFormat format, ElementType out);

namespace {

// Loads and stores of Vector::kWidth elements as float32 in a Vector::Type. LoadSome and StoreSome
// take only the first n.
template <class Vector, RowFormat kFormat, ElementType kOut>
void Decode(const uint8_t* row, uint8_t* out, int64_t embedding_dim) {
  constexpr int64_t kIn = kFormat == RowFormat::kFloat32 ? 4 : kFormat == RowFormat::kInt8 ? 1 : 2;
  constexpr int64_t kOutBytes = kOut == ElementType::kFloat32 ? 4 : 2;
  const typename Vector::Type scale =
      kFormat == RowFormat::kInt8 ? Vector::Scale(row) : Vector::One();
  if (kFormat == RowFormat::kInt8) row += 4;
  int64_t i = 0;
  for (; i + Vector::kWidth <= embedding_dim; i += Vector::kWidth) {
    typename Vector::Type x = Vector::template Load<kFormat>(row + i * kIn);
    // Divides, as Keras does: multiplying by 1 / scale rounds differently.
    if (kFormat == RowFormat::kInt8) x = Vector::Divide(x, scale);
    Vector::template Store<kOut>(x, out + i * kOutBytes);
  }
  if (i < embedding_dim) {
    const int n = static_cast<int>(embedding_dim - i);
    typename Vector::Type x = Vector::template LoadSome<kFormat>(row + i * kIn, n);
    if (kFormat == RowFormat::kInt8) x = Vector::Divide(x, scale);
    Vector::template StoreSome<kOut>(x, out + i * kOutBytes, n);
  }
}

// memcpy of these rows would be seen by ThreadSanitizer: they may be written meanwhile (and are
// read again then).
template <int kElementBytes>
void CopyElements(const uint8_t* row, uint8_t* out, int64_t embedding_dim) {
  const int64_t bytes = embedding_dim * kElementBytes;
  int64_t i = 0;
  for (; i + 16 <= bytes; i += 16) __builtin_memcpy(out + i, row + i, 16);
  for (; i < bytes; ++i) out[i] = row[i];
}

template <class Vector>
DecodeRow SelectDecoder(RowFormat format, ElementType out) {
  constexpr auto f32 = ElementType::kFloat32;
  constexpr auto f16 = ElementType::kFloat16;
  constexpr auto bf16 = ElementType::kBfloat16;
  static constexpr DecodeRow kDecoders[4][3] = {
      {&CopyElements<4>, &Decode<Vector, RowFormat::kFloat32, f16>,
       &Decode<Vector, RowFormat::kFloat32, bf16>},
      {&Decode<Vector, RowFormat::kFloat16, f32>, &CopyElements<2>,
       &Decode<Vector, RowFormat::kFloat16, bf16>},
      {&Decode<Vector, RowFormat::kBfloat16, f32>, &Decode<Vector, RowFormat::kBfloat16, f16>,
       &CopyElements<2>},
      {&Decode<Vector, RowFormat::kInt8, f32>, &Decode<Vector, RowFormat::kInt8, f16>,
       &Decode<Vector, RowFormat::kInt8, bf16>},
  };
  return kDecoders[static_cast<int>(format)][static_cast<int>(out)];
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_DECODERS_H_
