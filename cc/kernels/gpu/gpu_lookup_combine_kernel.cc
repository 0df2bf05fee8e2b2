#include <string>
#include <utility>
#include <vector>

#include "cc/kernels/bags_input.h"
#include "cc/kernels/gpu/gpu_lookup_op.h"
#include "cc/kernels/table_resource.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// Inputs, in the op's order. Row splits are in the host's memory: they are checked there, and a
// model makes them there.
constexpr int kTable = 0, kIds = 1, kRowSplits = 2, kWeights = 3;

class GpuLookupCombine : public GpuLookupOp {
 public:
  explicit GpuLookupCombine(OpKernelConstruction* ctx) : GpuLookupOp(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dim", &embedding_dim_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_weights", &num_weights_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
    OP_REQUIRES_OK(ctx, CombinerAttr(ctx, &combiner_));
  }

 protected:
  absl::Status Prepare(OpKernelContext* ctx, std::vector<GpuLookup>* lookups) const override {
    lookups->resize(1);
    GpuLookup& lookup = lookups->front();
    GpuLookupInput& input = lookup.input;
    TF_RETURN_IF_ERROR(input.Read(ctx, table_, kIds, embedding_dim_));
    const Tensor& row_splits = ctx->input(kRowSplits);
    const Tensor* const weights = num_weights_ == 0 ? nullptr : &ctx->input(kWeights);
    TF_RETURN_IF_ERROR(CheckBags(*input.table, ctx->input(kIds), row_splits, weights));

    Tensor splits;
    TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_INT64, row_splits.shape(), &splits));
    const auto bytes = row_splits.tensor_data();
    TF_RETURN_IF_ERROR(
        input.cache->cache()->Send({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                                   splits.data(), input.stream));
    const int64_t bags_count = row_splits.NumElements() - 1;
    Tensor* rows = nullptr;
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, TensorShape({bags_count, embedding_dim_}), &rows));
    auto default_row = input.cache->KeepRow(input.table->default_row(ElementType::kFloat32));
    if (!default_row.ok()) return default_row.status();

    CacheBags bags;
    bags.splits = splits.flat<int64_t>().data();
    bags.bags = static_cast<size_t>(bags_count);
    if (weights != nullptr) bags.weights = weights->flat<float>().data();
    bags.combiner = combiner_;
    bags.default_row = static_cast<const float*>(*default_row);
    bags.default_buckets = input.table->default_buckets();
    const CacheBatch batch = {input.keys, input.n, {rows->data(), type_, nullptr}, false};
    lookup.lookup = std::make_unique<DeviceBagLookup>(&input.table->table(), input.cache, batch,
                                                      bags, input.stream);
    lookup.held.push_back(std::move(splits));
    return absl::OkStatus();
  }

 private:
  const TableInput table_{kTable};
  int64_t embedding_dim_ = 0;
  int num_weights_ = 0;
  ElementType type_ = ElementType::kFloat32;
  Combiner combiner_ = Combiner::kSum;
};

REGISTER_KERNEL_BUILDER(Name("HpsLookupCombine")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", kIntegerIds)
                            .HostMemory("table_handle")
                            .HostMemory("row_splits"),
                        GpuLookupCombine);
REGISTER_KERNEL_BUILDER(Name("HpsLookupCombine")
                            .Device(tensorflow::DEVICE_GPU)
                            .TypeConstraint("Tids", tensorflow::DT_STRING)
                            .HostMemory("table_handle")
                            .HostMemory("ids")
                            .HostMemory("row_splits"),
                        GpuLookupCombine);

}  // namespace
}  // namespace tf_hps
