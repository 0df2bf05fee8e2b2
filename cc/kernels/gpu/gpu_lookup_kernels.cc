#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/kernels/gpu/gpu_lookup_op.h"
#include "cc/kernels/table_resource.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;

// Rows of one table for the ids of one input: output ids.shape + [embedding_dim].
absl::Status PrepareRows(OpKernelContext* ctx, const TableInput& table_input, int ids_input,
                         int output, int64_t embedding_dim, ElementType type, GpuLookup* lookup) {
  GpuLookupInput& input = lookup->input;
  TF_RETURN_IF_ERROR(input.Read(ctx, table_input, ids_input, embedding_dim));
  tensorflow::TensorShape shape = ctx->input(ids_input).shape();
  TF_RETURN_IF_ERROR(shape.AddDimWithStatus(embedding_dim));
  tensorflow::Tensor* rows = nullptr;
  TF_RETURN_IF_ERROR(ctx->allocate_output(output, shape, &rows));
  auto default_row = input.cache->KeepRow(input.table->default_row(type));
  if (!default_row.ok()) return default_row.status();
  const CacheRows out = {rows->data(), type, *default_row, input.table->default_buckets()};
  const CacheBatch batch = {input.keys, input.n, out, false};
  lookup->lookup =
      std::make_unique<DeviceRowLookup>(&input.table->table(), input.cache, batch, input.stream);
  return absl::OkStatus();
}

// Who must not wait there says so with `hit_rate_threshold`.
absl::Status CheckNoDeadline(OpKernelConstruction* ctx) {
  int num_is_degraded = 0;
  TF_RETURN_IF_ERROR(ctx->GetAttr("num_is_degraded", &num_is_degraded));
  if (num_is_degraded == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      ctx->def().op(), " on a GPU has no output `is_degraded`: place the lookup on a CPU"));
}

class GpuRowLookup : public GpuLookupOp {
 public:
  explicit GpuRowLookup(OpKernelConstruction* ctx) : GpuLookupOp(ctx) {
    OP_REQUIRES_OK(ctx, CheckNoDeadline(ctx));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dim", &embedding_dim_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
  }

 protected:
  absl::Status Prepare(OpKernelContext* ctx, std::vector<GpuLookup>* lookups) const override {
    lookups->resize(1);
    return PrepareRows(ctx, table_, 1, 0, embedding_dim_, type_, &lookups->front());
  }

 private:
  const TableInput table_{0};
  int64_t embedding_dim_ = 0;
  ElementType type_ = ElementType::kFloat32;
};

class GpuGroupLookup : public GpuLookupOp {
 public:
  explicit GpuGroupLookup(OpKernelConstruction* ctx) : GpuLookupOp(ctx) {
    OP_REQUIRES_OK(ctx, CheckNoDeadline(ctx));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dims", &embedding_dims_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
    for (size_t t = 0; t < embedding_dims_.size(); ++t) tables_.emplace_back(static_cast<int>(t));
  }

 protected:
  absl::Status Prepare(OpKernelContext* ctx, std::vector<GpuLookup>* lookups) const override {
    const int tables = static_cast<int>(embedding_dims_.size());
    lookups->resize(tables);
    for (int t = 0; t < tables; ++t) {
      TF_RETURN_IF_ERROR(
          PrepareRows(ctx, tables_[t], tables + t, t, embedding_dims_[t], type_, &(*lookups)[t]));
    }
    return absl::OkStatus();
  }

 private:
  std::deque<TableInput> tables_;  // which do not move
  std::vector<int64_t> embedding_dims_;
  ElementType type_ = ElementType::kFloat32;
};

// Strings are in the host's memory. All of a group, or none: where an input is goes for all of it.
REGISTER_KERNEL_BUILDER(Name("HpsLookup")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", kIntegerIds)
                            .HostMemory("table_handle"),
                        GpuRowLookup);
REGISTER_KERNEL_BUILDER(Name("HpsLookup")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", tensorflow::DT_STRING)
                            .HostMemory("table_handle")
                            .HostMemory("ids"),
                        GpuRowLookup);
REGISTER_KERNEL_BUILDER(Name("HpsGroupLookup")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", kIntegerIds)
                            .HostMemory("table_handles"),
                        GpuGroupLookup);
REGISTER_KERNEL_BUILDER(Name("HpsGroupLookup")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", tensorflow::DT_STRING)
                            .HostMemory("table_handles")
                            .HostMemory("ids"),
                        GpuGroupLookup);

}  // namespace
}  // namespace tf_hps
