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

absl::Status ElementTypeAttr(tensorflow::OpKernelConstruction* ctx, absl::string_view name,
                             ElementType* type) {
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
  absl::Status status = ctx->GetAttr(name, &dtype);
  *type = dtype == tensorflow::DT_HALF       ? ElementType::kFloat16
          : dtype == tensorflow::DT_BFLOAT16 ? ElementType::kBfloat16
                                             : ElementType::kFloat32;
  return status;
}

}  // namespace tf_hps
