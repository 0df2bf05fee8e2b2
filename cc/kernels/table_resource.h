#ifndef TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_
#define TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/row_format.h"
#include "cc/hierarchy/table_handle.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_base.h"
#include "tensorflow/core/framework/types.pb.h"

namespace tf_hps {

// A table's identity and its rows' form, for messages.
std::string Describe(const TableHandle& table);

// A table under a handle's name in TensorFlow's resource manager. It exists from HpsTableInitialize
// on, until the handle is destroyed or the session's devices are; a call in flight holds the table.
class TableResource : public tensorflow::ResourceBase {
 public:
  explicit TableResource(std::shared_ptr<TableHandle> table) : table_(std::move(table)) {}

  const std::shared_ptr<TableHandle>& table() const { return table_; }
  std::string DebugString() const override { return Describe(*table_); }

 private:
  const std::shared_ptr<TableHandle> table_;
};

// The table under an input of `ctx`; FailedPrecondition before HpsTableInitialize.
absl::StatusOr<std::shared_ptr<TableHandle>> TableOfInput(tensorflow::OpKernelContext* ctx,
                                                          int input = 0);

// DT_FLOAT, DT_HALF or DT_BFLOAT16: the op definitions allow no other.
ElementType ElementTypeOf(tensorflow::DataType dtype);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_
