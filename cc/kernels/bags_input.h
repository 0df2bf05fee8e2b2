#ifndef TF_HPS_CC_KERNELS_BAGS_INPUT_H_
#define TF_HPS_CC_KERNELS_BAGS_INPUT_H_

#include "absl/status/status.h"
#include "cc/common/bag_combiner.h"
#include "cc/hierarchy/table_handle.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {

// Without an error, row_splits, in the host's memory, begin at 0, never fall, and end at the number
// of ids; there is a weight for each id. Of ids and weights it looks at the shapes.
absl::Status CheckBags(const TableHandle& table, const tensorflow::Tensor& ids,
                       const tensorflow::Tensor& row_splits, const tensorflow::Tensor* weights);

absl::Status CombinerAttr(tensorflow::OpKernelConstruction* ctx, Combiner* combiner);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_BAGS_INPUT_H_
