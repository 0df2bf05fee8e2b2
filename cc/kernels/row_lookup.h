#ifndef TF_HPS_CC_KERNELS_ROW_LOOKUP_H_
#define TF_HPS_CC_KERNELS_ROW_LOOKUP_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/common/rows.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/kernels/lookup_input.h"
#include "cc/kernels/parallel_pieces.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// Rows of one table for the ids of one input: what HpsLookup has one of, HpsGroupLookup many.
struct RowLookup {
  LookupInput input;
  RowSink sink;
  Pending pending;            // what nobody answered yet
  CommitGate::Moment moment;  // of the deployment, that is looked at
  std::optional<MissDeadline> deadline;
  bool* is_degraded = nullptr;  // by position; null: nobody asks

  // Reads the inputs (see LookupInput::Read) and allocates the output, ids.shape + [embedding_dim].
  absl::Status Prepare(tensorflow::OpKernelContext* ctx, const TableInput& table_input,
                       int ids_input, int output, int64_t embedding_dim, ElementType type);
  // Allocates the output that says which rows were not there in time, ids.shape.
  absl::Status PrepareIsDegraded(tensorflow::OpKernelContext* ctx, int ids_input, int output);
};

// The lookups of one call see the same commit of a deployment, whole: where another one came in
// between, they are begun anew, and may wait.

// Answers what memory knows, on the threads of `pieces`, all lookups at once.
absl::Status FindInMemory(absl::Span<RowLookup> lookups, ParallelPieces* pieces);

// Answers the rest; may wait.
absl::Status FindInStores(absl::Span<RowLookup> lookups);

bool AreDone(absl::Span<const RowLookup> lookups);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_ROW_LOOKUP_H_
