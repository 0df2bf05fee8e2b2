#ifndef TF_HPS_CC_COMMON_ROW_SUM_H_
#define TF_HPS_CC_COMMON_ROW_SUM_H_

#include <cstddef>
#include <cstdint>

#include "cc/common/row_codec.h"

namespace tf_hps {

// Adds n rows of `embedding_dim` float32, one behind the other, to `sums`, in their order, each
// times its weight (null: times 1). Products are rounded before they are added: all instruction
// sets give equal sums.
using AddRows = void (*)(const float* rows, const float* weights, size_t n, int64_t embedding_dim,
                         float* sums);

AddRows SelectAddRows(CpuIsa isa);

AddRows AddRowsPortable();
AddRows AddRowsAvx2();
AddRows AddRowsAvx512();

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_SUM_H_
