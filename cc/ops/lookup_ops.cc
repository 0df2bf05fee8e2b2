#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf_hps {
namespace {

using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// Stateful although it changes nothing: a lookup of constant ids must not be folded into a
// constant, nor one lookup be taken for a later one, because rows change under it.
REGISTER_OP("HpsLookup")
    .Input("table_handle: resource")
    .Input("ids: Tids")
    .Output("rows: dtype")
    .Attr("Tids: {int32, int64}")
    .Attr("embedding_dim: int >= 1")
    .Attr("dtype: {float, half, bfloat16} = DT_FLOAT")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle unused, rows;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &unused));
      int64_t embedding_dim;
      TF_RETURN_IF_ERROR(c->GetAttr("embedding_dim", &embedding_dim));
      TF_RETURN_IF_ERROR(c->Concatenate(c->input(1), c->Vector(embedding_dim), &rows));
      c->set_output(0, rows);
      return absl::OkStatus();
    })
    .Doc(R"doc(
Looks up rows of an embedding table, wherever in its tiers they are.

Ids without a row get the table's default row, unless its `out_of_range` option says that ids outside
the vocabulary are an error. Every int64 may have a row. Concurrent updates of the table are seen row
by row: a row is the old one or the new one, never a mixture.

table_handle: From HpsTableHandle, initialized.
ids: Any shape.
embedding_dim: The length of the table's rows; another one than the table's is an error.
dtype: What the stored rows are converted to.
rows: Shape ids.shape + [embedding_dim].
)doc");

}  // namespace
}  // namespace tf_hps
