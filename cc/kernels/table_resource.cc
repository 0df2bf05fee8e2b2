#include "cc/kernels/table_resource.h"

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/resource_handle.h"
#include "tensorflow/core/framework/resource_mgr.h"

namespace tf_hps {

std::string Describe(const TableHandle& table) {
  const TableSpec& spec = table.spec();
  return absl::StrCat("embedding table \"", spec.name, "\" of deployment \"", spec.deployment,
                      "\", generation ", spec.generation, ", ", spec.embedding_dim, " x ",
                      RowFormatName(spec.row_format));
}

absl::StatusOr<std::shared_ptr<const OpenTable>> TableOfHandle(
    tensorflow::OpKernelContext* ctx, const tensorflow::ResourceHandle& handle) {
  tensorflow::core::RefCountPtr<TableResource> resource;
  const absl::Status status = tensorflow::LookupResource(ctx, handle, &resource);
  if (absl::IsNotFound(status)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the table handle \"", handle.name(),
        "\" holds no table: HpsTableInitialize did not run (a session runs it with the table "
        "initializers), it failed, or the table was destroyed"));
  }
  if (!status.ok()) return status;
  return resource->open();
}

absl::StatusOr<std::shared_ptr<TableHandle>> TableOfInput(tensorflow::OpKernelContext* ctx,
                                                          int input) {
  auto open = TableOfHandle(ctx, tensorflow::HandleFromInput(ctx, input));
  if (!open.ok()) return open.status();
  return (*open)->table;
}

ElementType ElementTypeOf(tensorflow::DataType dtype) {
  switch (dtype) {
    case tensorflow::DT_HALF:
      return ElementType::kFloat16;
    case tensorflow::DT_BFLOAT16:
      return ElementType::kBfloat16;
    default:
      return ElementType::kFloat32;
  }
}

}  // namespace tf_hps
