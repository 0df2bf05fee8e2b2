// The kinds of rows and elements, apart from row_format.h so that nvcc can read them: it parses no
// absl.
#ifndef TF_HPS_CC_COMMON_ROW_TYPES_H_
#define TF_HPS_CC_COMMON_ROW_TYPES_H_

#include <cstdint>

namespace tf_hps {

// How the elements of a row are stored. A row is bytes to every tier; only the copy to or from the
// user's tensors knows what they mean. All numbers are little-endian.
//   kFloat32, kFloat16, kBfloat16: embedding_dim elements, nothing else.
//   kInt8: a float32 scale, then embedding_dim int8; element i is int8[i] / scale (Keras'
//   convention, see Embedding.quantize: scale = 127 / max|row|), so that quantized Keras tables
//   move bit for bit.
enum class RowFormat : uint8_t { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2, kInt8 = 3 };

// Element types that rows are decoded to and encoded from.
enum class ElementType : uint8_t { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2 };

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_TYPES_H_
