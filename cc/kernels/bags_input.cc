#include "cc/kernels/bags_input.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace tf_hps {

using tensorflow::Tensor;

absl::Status CheckBags(const TableHandle& table, const Tensor& ids, const Tensor& row_splits,
                       const Tensor* weights) {
  const auto refused = [&](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat(table.spec().Described(), ": ", what...));
  };
  if (ids.dims() != 1) {
    return refused("ids of bags have shape [n]. Received: ids ", ids.shape().DebugString());
  }
  if (weights != nullptr && weights->shape() != ids.shape()) {
    return refused("there is a weight for each id. Received: ids ", ids.shape().DebugString(),
                   ", weights ", weights->shape().DebugString());
  }
  if (row_splits.dims() != 1 || row_splits.dim_size(0) < 1) {
    return refused("row_splits have shape [bags + 1]. Received: row_splits ",
                   row_splits.shape().DebugString());
  }
  const auto splits = row_splits.flat<int64_t>();
  if (splits(0) != 0)
    return refused("row_splits begin at 0. Received: row_splits[0] = ", splits(0));
  for (int64_t i = 1; i < splits.size(); ++i) {
    if (splits(i) < splits(i - 1)) {
      return refused("row_splits never fall. Received: row_splits[", i - 1, "] = ", splits(i - 1),
                     ", row_splits[", i, "] = ", splits(i));
    }
  }
  const int64_t last = splits(splits.size() - 1);
  if (last != ids.NumElements()) {
    return refused("row_splits end at the number of ids, ", ids.NumElements(),
                   ". Received: row_splits[", splits.size() - 1, "] = ", last);
  }
  return absl::OkStatus();
}

absl::Status CombinerAttr(tensorflow::OpKernelConstruction* ctx, Combiner* combiner) {
  std::string name;
  const absl::Status status = ctx->GetAttr("combiner", &name);
  *combiner = name == "sum" ? Combiner::kSum : name == "mean" ? Combiner::kMean : Combiner::kSqrtn;
  return status;
}

}  // namespace tf_hps
