#include <deque>
#include <vector>

#include "cc/kernels/lookup_op_base.h"
#include "cc/kernels/row_lookup.h"
#include "cc/kernels/table_resource.h"

namespace tf_hps {
namespace {

class GroupLookup {
 public:
  using Call = std::vector<RowLookup>;

  explicit GroupLookup(tensorflow::OpKernelConstruction* ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dims", &embedding_dims_));
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "dtype", &type_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_is_degraded", &num_is_degraded_));
    for (size_t t = 0; t < embedding_dims_.size(); ++t) tables_.emplace_back(static_cast<int>(t));
  }

  absl::Status Start(tensorflow::OpKernelContext* ctx, Call* call) const {
    const int tables = static_cast<int>(embedding_dims_.size());
    size_t keys = 0;
    for (int t = 0; t < tables; ++t) keys += ctx->input(tables + t).NumElements();
    ParallelPieces pieces(ctx, keys, &key_cost_);
    call->resize(tables);
    for (int t = 0; t < tables; ++t) {
      TF_RETURN_IF_ERROR(
          (*call)[t].Prepare(ctx, tables_[t], tables + t, t, embedding_dims_[t], type_));
      if (num_is_degraded_ == 0) continue;
      TF_RETURN_IF_ERROR((*call)[t].PrepareIsDegraded(ctx, tables + t, tables + t));
    }
    return FindInMemory(absl::MakeSpan(*call), &pieces);
  }
  static bool IsDone(const Call& call) { return AreDone(call); }
  static absl::Status Finish(Call* call) { return FindInStores(absl::MakeSpan(*call)); }

 private:
  std::deque<TableInput> tables_;  // which do not move
  std::vector<int64_t> embedding_dims_;
  int num_is_degraded_ = 0;
  ElementType type_ = ElementType::kFloat32;
  mutable KeyCost key_cost_;
};

const LookupOpRegistrar<GroupLookup> group_lookup_is_registered("HpsGroupLookup");

}  // namespace
}  // namespace tf_hps
