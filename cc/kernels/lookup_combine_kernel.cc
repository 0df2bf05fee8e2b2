#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/bag_lookup.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/kernels/bags_input.h"
#include "cc/kernels/lookup_input.h"
#include "cc/kernels/lookup_op_base.h"
#include "cc/kernels/parallel_pieces.h"
#include "cc/kernels/table_resource.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// Inputs and outputs, in the op's order.
constexpr int kTable = 0, kIds = 1, kRowSplits = 2, kWeights = 3;

class LookupCombine {
 public:
  struct Call {
    LookupInput input;
    Bags bags;
    ElementType type;
    uint8_t* results = nullptr;
    std::unique_ptr<BagLookup> lookup;
    CommitGate::Moment moment;  // of the deployment, that is looked at
    bool is_done = false;

    void Begin(const CommitGate::Moment& seen) {
      lookup = std::make_unique<BagLookup>(*input.table, input.keys, bags, type, results, seen);
    }
    const CommitGate& gate() const { return input.table->table().gate(); }
  };

  explicit LookupCombine(OpKernelConstruction* ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dim", &embedding_dim_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_weights", &num_weights_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
    OP_REQUIRES_OK(ctx, CombinerAttr(ctx, &combiner_));
  }

  absl::Status Start(OpKernelContext* ctx, Call* call) const {
    ParallelPieces pieces(ctx, ctx->input(kIds).NumElements(), &key_cost_);
    TF_RETURN_IF_ERROR(call->input.Read(ctx, table_, kIds, embedding_dim_));
    const Tensor& row_splits = ctx->input(kRowSplits);
    const Tensor* const weights = num_weights_ == 0 ? nullptr : &ctx->input(kWeights);
    TF_RETURN_IF_ERROR(CheckBags(*call->input.table, ctx->input(kIds), row_splits, weights));

    Bags& bags = call->bags;
    bags.splits = {row_splits.flat<int64_t>().data(),
                   static_cast<size_t>(row_splits.NumElements())};
    if (weights != nullptr) bags.weights = weights->flat<float>().data();
    bags.combiner = combiner_;
    call->type = type_;
    Tensor* rows = nullptr;
    TF_RETURN_IF_ERROR(ctx->allocate_output(
        0, TensorShape({static_cast<int64_t>(bags.size()), embedding_dim_}), &rows));
    call->results = static_cast<uint8_t*>(rows->data());
    call->moment = call->gate().Begin();
    call->Begin(call->moment);
    TF_RETURN_IF_ERROR(pieces.ForEach(
        call->lookup->parts(), [&](size_t part) { return call->lookup->FindInMemory(part); }));
    if (!call->lookup->IsDone()) return absl::OkStatus();
    return FinishCommit(call);
  }
  static bool IsDone(const Call& call) { return call.is_done; }
  static absl::Status Finish(Call* call) {
    TF_RETURN_IF_ERROR(call->lookup->FindInStores());
    return FinishCommit(call);
  }

 private:
  // Where a commit came in between: once more, on this thread.
  static absl::Status FinishCommit(Call* call) {
    call->is_done = true;
    if (call->gate().IsStill(call->moment)) return absl::OkStatus();
    call->gate().CountRetry();
    const auto find = [call](const CommitGate::Moment& moment) -> absl::Status {
      call->Begin(moment);
      BagLookup& lookup = *call->lookup;
      for (size_t part = 0; part < lookup.parts(); ++part) {
        TF_RETURN_IF_ERROR(lookup.FindInMemory(part));
      }
      return lookup.IsDone() ? absl::OkStatus() : lookup.FindInStores();
    };
    return ReadOneCommit(call->gate(), find);
  }

  const TableInput table_{kTable};
  int64_t embedding_dim_ = 0;
  int num_weights_ = 0;
  ElementType type_ = ElementType::kFloat32;
  mutable KeyCost key_cost_;
  Combiner combiner_ = Combiner::kSum;
};

const LookupOpRegistrar<LookupCombine> lookup_combine_is_registered("HpsLookupCombine");

// From the ascending number of each id's bag to where each bag begins.
class RowSplitsOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Tensor& bag_of_id = ctx->input(0);
    const Tensor& num_bags = ctx->input(1);
    OP_REQUIRES(
        ctx, bag_of_id.dims() == 1 && num_bags.dims() == 0,
        absl::InvalidArgumentError(absl::StrCat(
            "segment_ids have shape [n], num_segments []. Received: segment_ids ",
            bag_of_id.shape().DebugString(), ", num_segments ", num_bags.shape().DebugString())));
    const auto bags = bag_of_id.flat<int64_t>();
    const int64_t size = num_bags.scalar<int64_t>()();
    TensorShape shape;
    OP_REQUIRES(
        ctx, size >= 0,
        absl::InvalidArgumentError(absl::StrCat("num_segments is not negative. Received: ", size)));
    OP_REQUIRES_OK(ctx, shape.AddDimWithStatus(size + 1));
    Tensor* row_splits = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, shape, &row_splits));
    auto splits = row_splits->flat<int64_t>();
    int64_t next = 0;  // bag whose beginning is not known yet
    for (int64_t i = 0; i < bags.size(); ++i) {
      // The last split, at next == size, is written below.
      OP_REQUIRES(ctx, bags(i) + 1 >= next && bags(i) >= 0 && bags(i) < size,
                  absl::InvalidArgumentError(absl::StrCat(
                      "segment_ids ascend and are in [0, ", size, "). Received: segment_ids[", i,
                      "] = ", bags(i), i == 0 ? "" : absl::StrCat(" after ", bags(i - 1)))));
      while (next <= bags(i)) splits(next++) = i;
    }
    while (next <= size) splits(next++) = bags.size();
  }
};

REGISTER_KERNEL_BUILDER(Name("HpsRowSplits").Device(tensorflow::DEVICE_CPU), RowSplitsOp);

}  // namespace
}  // namespace tf_hps
