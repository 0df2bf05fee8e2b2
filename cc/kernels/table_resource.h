#ifndef TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_
#define TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/row_format.h"
#include "cc/hierarchy/table_handle.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_base.h"
#include "tensorflow/core/framework/resource_handle.h"

namespace tf_hps {

// A table's identity and its rows' form, for messages.
std::string Describe(const TableHandle& table);

// A table as long as a handle's name stands for it. Only TableResource holds one for longer than a
// moment: who has a weak pointer to it sees that the table was destroyed, calls in flight or not.
struct OpenTable {
  const std::shared_ptr<TableHandle> table;
};

// A table under a handle's name in TensorFlow's resource manager. It exists from HpsTableInitialize
// on, until the handle is destroyed or the session's devices are; a call in flight holds the table.
class TableResource : public tensorflow::ResourceBase {
 public:
  explicit TableResource(std::shared_ptr<TableHandle> table)
      : open_(std::make_shared<OpenTable>(OpenTable{std::move(table)})) {}

  const std::shared_ptr<TableHandle>& table() const { return open_->table; }
  const std::shared_ptr<const OpenTable>& open() const { return open_; }
  std::string DebugString() const override { return Describe(*table()); }

 private:
  const std::shared_ptr<const OpenTable> open_;
};

// The table under a handle, or an input of `ctx` that is one; FailedPrecondition before
// HpsTableInitialize.
absl::StatusOr<std::shared_ptr<const OpenTable>> TableOfHandle(
    tensorflow::OpKernelContext* ctx, const tensorflow::ResourceHandle& handle);
absl::StatusOr<std::shared_ptr<TableHandle>> TableOfInput(tensorflow::OpKernelContext* ctx,
                                                          int input = 0);

// From the op's attribute `name`: DT_FLOAT, DT_HALF or DT_BFLOAT16, the op definitions allow no
// other.
absl::Status ElementTypeAttr(tensorflow::OpKernelConstruction* ctx, absl::string_view name,
                             ElementType* type);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_TABLE_RESOURCE_H_
