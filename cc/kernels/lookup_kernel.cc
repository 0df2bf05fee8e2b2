#include "cc/kernels/lookup_op_base.h"
#include "cc/kernels/row_lookup.h"
#include "cc/kernels/table_resource.h"

namespace tf_hps {
namespace {

class Lookup {
 public:
  using Call = RowLookup;

  explicit Lookup(tensorflow::OpKernelConstruction* ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dim", &embedding_dim_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_is_degraded", &num_is_degraded_));
  }

  absl::Status Start(tensorflow::OpKernelContext* ctx, Call* call) const {
    ParallelPieces pieces(ctx, ctx->input(1).NumElements(), &key_cost_);
    TF_RETURN_IF_ERROR(call->Prepare(ctx, table_, 1, 0, embedding_dim_, type_));
    if (num_is_degraded_ > 0) TF_RETURN_IF_ERROR(call->PrepareIsDegraded(ctx, 1, 1));
    return FindInMemory({call, 1}, &pieces);
  }
  static bool IsDone(const Call& call) { return call.pending.empty(); }
  static absl::Status Finish(Call* call) { return FindInStores({call, 1}); }

 private:
  const TableInput table_{0};
  int64_t embedding_dim_ = 0;
  int num_is_degraded_ = 0;
  ElementType type_ = ElementType::kFloat32;
  mutable KeyCost key_cost_;
};

const LookupOpRegistrar<Lookup> lookup_is_registered("HpsLookup");

}  // namespace
}  // namespace tf_hps
