#ifndef TF_HPS_CC_COMMON_ROW_CODEC_H_
#define TF_HPS_CC_COMMON_ROW_CODEC_H_

#include <cstddef>
#include <cstdint>

#include "cc/common/row_format.h"

namespace tf_hps {

// Writes one decoded row of `embedding_dim` elements to `out`. Neither pointer need be aligned.
using DecodeRow = void (*)(const uint8_t* row, uint8_t* out, int64_t embedding_dim);
// Writes one stored row (RowBytes(format, dim) bytes) made from `embedding_dim` elements.
using EncodeRow = void (*)(const uint8_t* elements, uint8_t* row, int64_t embedding_dim);

// The vector instructions this process uses: the best the CPU has, or less where TF_HPS_CPU_ISA
// says "avx2" or "portable" (for tests and comparisons).
enum class CpuIsa : uint8_t { kPortable = 0, kAvx2 = 1, kAvx512 = 2 };
CpuIsa BestCpuIsa();      // what the CPU can do, read once
CpuIsa SelectedCpuIsa();  // BestCpuIsa() limited by TF_HPS_CPU_ISA, read once
const char* CpuIsaName(CpuIsa isa);

// All instruction sets give equal bytes. Rounding to half types is to nearest even, NaN stays NaN.
// float32 -> int8 quantizes with scale = 127 / max|row| (an all-zero row gets scale 1), rounds half
// to even, clips to [-127, 127].
DecodeRow SelectDecodeRow(RowFormat format, ElementType out, CpuIsa isa);
EncodeRow SelectEncodeRow(ElementType in, RowFormat format);

// A DecodeRow whose embedding_dim is the stored row's bytes: copies them and writes a 1 behind
// them. With a default row that ends in 0, a sink's rows say which of them were found.
void CopyFoundRow(const uint8_t* row, uint8_t* out, int64_t row_bytes);

// True when decoding is a plain copy of the row's bytes.
bool IsPlainCopy(RowFormat format, ElementType out);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_CODEC_H_
