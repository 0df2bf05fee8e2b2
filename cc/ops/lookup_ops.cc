#include <vector>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf_hps {
namespace {

using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// All or nothing: 0 outputs, or `all`.
absl::Status NumIsDegraded(InferenceContext* c, int all, int* number) {
  TF_RETURN_IF_ERROR(c->GetAttr("num_is_degraded", number));
  if (*number == 0 || *number == all) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("num_is_degraded is 0, or ", all,
                                                 " here. Received: num_is_degraded = ", *number));
}

// Stateful although it changes nothing: a lookup of constant ids must not be folded into a
// constant, nor one lookup be taken for a later one, because rows change under it.
REGISTER_OP("HpsLookup")
    .Input("table_handle: resource")
    .Input("ids: Tids")
    .Output("rows: dtype")
    .Output("is_degraded: num_is_degraded * bool")
    .Attr("Tids: {int32, int64, string}")
    .Attr("embedding_dim: int >= 1")
    .Attr("dtype: {float, half, bfloat16} = DT_FLOAT")
    .Attr("num_is_degraded: int >= 0 = 0")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused, rows;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &unused));
      int64_t embedding_dim;
      TF_RETURN_IF_ERROR(c->GetAttr("embedding_dim", &embedding_dim));
      TF_RETURN_IF_ERROR(c->Concatenate(c->input(1), c->Vector(embedding_dim), &rows));
      c->set_output(0, rows);
      int is_degraded;
      TF_RETURN_IF_ERROR(NumIsDegraded(c, 1, &is_degraded));
      if (is_degraded > 0) c->set_output(1, c->input(1));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Looks up rows of an embedding table, wherever in its tiers they are.

Ids without a row get the table's default row, unless its `out_of_range` option says that ids outside
the vocabulary are an error. Every int64 may have a row. Concurrent updates of the table are seen row
by row: a row is the old one or the new one, never a mixture.

table_handle: From HpsTableHandle, initialized.
ids: Any shape. The key of a string is its fingerprint of 64 bits, farmhash64 as of the Fingerprint op.
embedding_dim: The length of the table's rows; another one than the table's is an error.
dtype: What the stored rows are converted to.
num_is_degraded: 1 for the second output, 0 for none.
rows: Shape ids.shape + [embedding_dim].
is_degraded: Shape ids.shape: whether the row was not read within the table's `miss_deadline_us`, and is
  the default row for that.
)doc");

REGISTER_OP("HpsGroupLookup")
    .Input("table_handles: num_tables * resource")
    .Input("ids: Tids")
    .Output("rows: num_tables * dtype")
    .Output("is_degraded: num_is_degraded * bool")
    .Attr("num_tables: int >= 1")
    .Attr("Tids: list({int32, int64, string}) >= 1")
    .Attr("embedding_dims: list(int) >= 1")
    .Attr("dtype: {float, half, bfloat16} = DT_FLOAT")
    .Attr("num_is_degraded: int >= 0 = 0")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      int tables;
      TF_RETURN_IF_ERROR(c->GetAttr("num_tables", &tables));
      std::vector<tensorflow::DataType> ids_dtypes;
      TF_RETURN_IF_ERROR(c->GetAttr("Tids", &ids_dtypes));
      std::vector<int64_t> embedding_dims;
      TF_RETURN_IF_ERROR(c->GetAttr("embedding_dims", &embedding_dims));
      if (static_cast<int>(ids_dtypes.size()) != tables ||
          static_cast<int>(embedding_dims.size()) != tables) {
        return absl::InvalidArgumentError(
            absl::StrCat("a group lookup has ids and an embedding_dim for each of its ", tables,
                         " tables. Received: ", ids_dtypes.size(), " ids, ", embedding_dims.size(),
                         " embedding_dims"));
      }
      int is_degraded;
      TF_RETURN_IF_ERROR(NumIsDegraded(c, tables, &is_degraded));
      for (int t = 0; t < tables; ++t) {
        ShapeHandle unused, rows;
        TF_RETURN_IF_ERROR(c->WithRank(c->input(t), 0, &unused));
        if (embedding_dims[t] < 1) {
          return absl::InvalidArgumentError(
              absl::StrCat("embedding_dims[", t, "] is ", embedding_dims[t], ", less than 1"));
        }
        TF_RETURN_IF_ERROR(
            c->Concatenate(c->input(tables + t), c->Vector(embedding_dims[t]), &rows));
        c->set_output(t, rows);
        if (is_degraded > 0) c->set_output(tables + t, c->input(tables + t));
      }
      return absl::OkStatus();
    })
    .Doc(R"doc(
HpsLookup of several tables at once.

One call instead of many, and all tables' keys shared out over the threads together. A table may come
more than once.

table_handles: From HpsTableHandle, initialized.
ids: Any shape, one tensor a table.
embedding_dims: The length of each table's rows.
dtype: What all stored rows are converted to.
num_is_degraded: num_tables for the second list of outputs, 0 for none.
rows: Shape ids[i].shape + [embedding_dims[i]], one tensor a table.
is_degraded: Shape ids[i].shape, one tensor a table, as of HpsLookup.
)doc");

REGISTER_OP("HpsLookupCombine")
    .Input("table_handle: resource")
    .Input("ids: Tids")
    .Input("row_splits: int64")
    .Input("weights: num_weights * float")
    .Output("rows: dtype")
    .Attr("Tids: {int32, int64, string}")
    .Attr("num_weights: int >= 0")
    .Attr("embedding_dim: int >= 1")
    .Attr("combiner: {'sum', 'mean', 'sqrtn'}")
    .Attr("dtype: {float, half, bfloat16} = DT_FLOAT")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused, ids, row_splits;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &unused));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &ids));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 1, &row_splits));
      int weights;
      TF_RETURN_IF_ERROR(c->GetAttr("num_weights", &weights));
      if (weights > 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            "num_weights is 0, for weights of 1, or 1. Received: num_weights = ", weights));
      }
      if (weights == 1) TF_RETURN_IF_ERROR(c->Merge(ids, c->input(3), &unused));
      tensorflow::shape_inference::DimensionHandle bags;
      TF_RETURN_IF_ERROR(c->Subtract(c->Dim(row_splits, 0), 1, &bags));
      int64_t embedding_dim;
      TF_RETURN_IF_ERROR(c->GetAttr("embedding_dim", &embedding_dim));
      c->set_output(0, c->Matrix(bags, c->MakeDim(embedding_dim)));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Looks up bags of ids, and combines the rows of each bag into one.

What HpsLookup followed by a segment sum gives, but the rows never lie in memory side by side. Sums are
made in float32, in the order of the ids.

table_handle: From HpsTableHandle, initialized.
ids: Shape [n], bag after bag.
row_splits: Shape [bags + 1]: bag b has the ids row_splits[b] up to row_splits[b + 1].
weights: Nothing, for weights of 1; or one tensor of shape [n].
embedding_dim: The length of the table's rows; another one than the table's is an error.
combiner: "sum" of weight * row; "mean": the sum over the sum of the weights; "sqrtn": the sum over the
  root of the sum of the squared weights. Where that is 0, and for bags without ids: zeros.
dtype: What the results are converted to.
rows: Shape [bags, embedding_dim].
)doc");

REGISTER_OP("HpsRowSplits")
    .Input("segment_ids: int64")
    .Input("num_segments: int64")
    .Output("row_splits: int64")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &unused));
      tensorflow::shape_inference::DimensionHandle segments, splits;
      TF_RETURN_IF_ERROR(c->MakeDimForScalarInput(1, &segments));
      TF_RETURN_IF_ERROR(c->Add(segments, 1, &splits));
      c->set_output(0, c->Vector(splits));
      return absl::OkStatus();
    })
    .Doc(R"doc(
From the number of each id's bag to where the bags begin, as HpsLookupCombine wants them.

segment_ids: Shape [n], ascending, in [0, num_segments).
num_segments: How many bags there are.
row_splits: Shape [num_segments + 1]: segment s has the positions row_splits[s] up to row_splits[s + 1].
)doc");

}  // namespace
}  // namespace tf_hps
