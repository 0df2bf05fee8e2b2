#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

// Names, inputs and attributes stand in exported SavedModels for years. What may still change: an
// attr with a default is added, an attr's list of types grows, a list output of length 0 by default
// (as a lookup's `is_degraded`) is added at the end.

namespace tf_hps {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status ScalarHandle(InferenceContext* c) {
  ShapeHandle unused;
  return c->WithRank(c->input(0), 0, &unused);
}

REGISTER_OP("HpsTableHandle")
    .Attr("container: string = ''")
    .Attr("shared_name: string = ''")
    .Output("table_handle: resource")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape)
    .Doc(R"doc(
A handle to an embedding table.

The handle names a place in the session's resources and nothing more: HpsTableInitialize puts the table
there. The table's identity is what it holds (deployment, name and generation, see HpsTableInitialize),
never this name, so that loading a SavedModel, which renames resources, finds the same table.

container: The resource container to place the handle in; the default one if empty.
shared_name: The name the handle is shared under; the node's name if empty.
table_handle: A scalar handle.
)doc");

REGISTER_OP("HpsTableInitialize")
    .Input("table_handle: resource")
    .Input("config_path: string")
    .Attr("table: string")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(ScalarHandle(c));
      ShapeHandle unused;
      return c->WithRank(c->input(1), 0, &unused);
    })
    .Doc(R"doc(
Opens an embedding table, or attaches to it where this process has it open, and puts it into the handle.

Tables belong to the process and are identified by deployment, name and generation: a SavedModel version
that names the same generation shares rows and memory with the one before. A handle takes one table:
doing this twice with the same table changes nothing, with another one it is an error. Rows that are
preloaded into memory come in the background; lookups work meanwhile.

table_handle: From HpsTableHandle.
config_path: A scalar, the path of an hps.json. Store paths in it are relative to its folder, so as an
  asset of a SavedModel it may travel with its stores.
table: The table's name in that file.
)doc");

REGISTER_OP("HpsTableInsert")
    .Input("table_handle: resource")
    .Input("keys: int64")
    .Input("rows: T")
    .Attr("T: {float, half, bfloat16}")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(ScalarHandle(c));
      ShapeHandle keys, rows;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &keys));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &rows));
      DimensionHandle unused;
      return c->Merge(c->Dim(keys, 0), c->Dim(rows, 0), &unused);
    })
    .Doc(R"doc(
Inserts rows, or replaces those that stand under their keys, in every tier of a table.

Rows are converted to the table's row_format. With equal keys the last one counts. A table whose
persistent store is read-only is left as it was, with an error.

table_handle: From HpsTableHandle, initialized.
keys: Shape [n]. Every int64 is a legal key.
rows: Shape [n, embedding_dim].
)doc");

REGISTER_OP("HpsTableErase")
    .Input("table_handle: resource")
    .Input("keys: int64")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(ScalarHandle(c));
      ShapeHandle unused;
      return c->WithRank(c->input(1), 1, &unused);
    })
    .Doc(R"doc(
Erases rows from every tier of a table; their keys get the default row from then on.

Unknown keys are no error.

table_handle: From HpsTableHandle, initialized.
keys: Shape [n].
)doc");

REGISTER_OP("HpsTableStats")
    .Input("table_handle: resource")
    .Output("stats: string")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(ScalarHandle(c));
      c->set_output(0, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"doc(
What a table holds and has counted since it was opened, as one JSON object.

table_handle: From HpsTableHandle, initialized.
stats: A scalar. The fields are described in docs/operations.md.
)doc");

}  // namespace
}  // namespace tf_hps
