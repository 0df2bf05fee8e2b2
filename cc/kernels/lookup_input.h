#ifndef TF_HPS_CC_KERNELS_LOOKUP_INPUT_H_
#define TF_HPS_CC_KERNELS_LOOKUP_INPUT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/hierarchy/table_handle.h"
#include "cc/kernels/table_input.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {

// A table and ids, as every lookup op has them. Holds the table: its handle may be destroyed
// meanwhile.
struct LookupInput {
  std::shared_ptr<TableHandle> table;
  absl::Span<const Key> keys;
  tensorflow::Tensor copied_keys;  // owns them where they are not the ids themselves

  // Reads the table's handle and ids of any shape, int32, int64 or strings, from two inputs of
  // `ctx`, checks both, and counts a lookup.
  absl::Status Read(tensorflow::OpKernelContext* ctx, const TableInput& table_input, int ids_input,
                    int64_t embedding_dim);
};

// The keys of strings, as tf_hps.word_keys has them.
void WordKeys(const tensorflow::Tensor& words, Key* keys);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_LOOKUP_INPUT_H_
