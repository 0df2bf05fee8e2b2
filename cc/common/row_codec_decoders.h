#ifndef TF_HPS_CC_COMMON_ROW_CODEC_DECODERS_H_
#define TF_HPS_CC_COMMON_ROW_CODEC_DECODERS_H_

#include <cstring>

#include "cc/common/row_codec.h"
#include "cc/common/row_codec_scalar.h"

// The decoders of one instruction set, made from its loads and stores: a file that has a `Vector`
// policy includes this and calls SelectFrom<Vector>. Everything is static, see row_codec_scalar.h.
namespace tf_hps {
namespace row_codec {

template <RowFormat kFormat>
static inline float LoadOne(const uint8_t* elements, int64_t i, float scale) {
  uint16_t half;
  float f;
  switch (kFormat) {
    case RowFormat::kFloat32:
      std::memcpy(&f, elements + 4 * i, 4);
      return f;
    case RowFormat::kFloat16:
      std::memcpy(&half, elements + 2 * i, 2);
      return FloatFromHalf(half);
    case RowFormat::kBfloat16:
      std::memcpy(&half, elements + 2 * i, 2);
      return FloatFromBfloat16(half);
    case RowFormat::kInt8:
      return static_cast<float>(static_cast<int8_t>(elements[i])) / scale;
  }
  return 0;
}

template <ElementType kOut>
static inline void StoreOne(uint8_t* out, int64_t i, float f) {
  if (kOut == ElementType::kFloat32) {
    std::memcpy(out + 4 * i, &f, 4);
  } else {
    const uint16_t half = kOut == ElementType::kFloat16 ? HalfFromFloat(f) : Bfloat16FromFloat(f);
    std::memcpy(out + 2 * i, &half, 2);
  }
}

// Vector::kLanes elements at a time, and the rest one by one.
template <typename Vector, RowFormat kFormat, ElementType kOut>
static void Decode(const uint8_t* row, uint8_t* out, int64_t embedding_dim) {
  float scale = 1;
  const uint8_t* elements = row;
  if (kFormat == RowFormat::kInt8) {
    std::memcpy(&scale, row, sizeof(scale));
    elements = row + sizeof(scale);
  }
  int64_t i = 0;
  for (; i + Vector::kLanes <= embedding_dim; i += Vector::kLanes) {
    Vector::template Store<kOut>(out, i, Vector::template Load<kFormat>(elements, i, scale));
  }
  for (; i < embedding_dim; ++i) StoreOne<kOut>(out, i, LoadOne<kFormat>(elements, i, scale));
}

template <RowFormat kFormat>
static void Copy(const uint8_t* row, uint8_t* out, int64_t embedding_dim) {
  std::memcpy(out, row, embedding_dim * (kFormat == RowFormat::kFloat32 ? 4 : 2));
}

template <typename Vector, RowFormat kFormat>
static DecodeRow SelectOut(ElementType out) {
  switch (out) {
    case ElementType::kFloat32:
      return kFormat == RowFormat::kFloat32 ? Copy<kFormat>
                                            : Decode<Vector, kFormat, ElementType::kFloat32>;
    case ElementType::kFloat16:
      return kFormat == RowFormat::kFloat16 ? Copy<kFormat>
                                            : Decode<Vector, kFormat, ElementType::kFloat16>;
    case ElementType::kBfloat16:
      return kFormat == RowFormat::kBfloat16 ? Copy<kFormat>
                                             : Decode<Vector, kFormat, ElementType::kBfloat16>;
  }
  return nullptr;
}

template <typename Vector>
static DecodeRow SelectFrom(RowFormat format, ElementType out) {
  switch (format) {
    case RowFormat::kFloat32:
      return SelectOut<Vector, RowFormat::kFloat32>(out);
    case RowFormat::kFloat16:
      return SelectOut<Vector, RowFormat::kFloat16>(out);
    case RowFormat::kBfloat16:
      return SelectOut<Vector, RowFormat::kBfloat16>(out);
    case RowFormat::kInt8:
      return SelectOut<Vector, RowFormat::kInt8>(out);
  }
  return nullptr;
}

}  // namespace row_codec

DecodeRow SelectDecodeRowAvx2(RowFormat format, ElementType out);
DecodeRow SelectDecodeRowAvx512(RowFormat format, ElementType out);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_CODEC_DECODERS_H_
