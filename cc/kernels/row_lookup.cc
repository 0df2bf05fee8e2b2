#include "cc/kernels/row_lookup.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/embedding_table.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// What a thread takes at once: some 100 us of work.
constexpr size_t kKeysPerPiece = 2048;

struct Piece {
  RowLookup* lookup;
  Pending pending;
};

const CommitGate& GateOf(const RowLookup& lookup) { return lookup.input.table->table().gate(); }

bool SawOneCommit(absl::Span<const RowLookup> lookups) {
  return std::all_of(lookups.begin(), lookups.end(),
                     [](const RowLookup& lookup) { return GateOf(lookup).IsStill(lookup.moment); });
}

// Over what the tiers say.
void PutCommit(absl::Span<const RowLookup> lookups) {
  for (const RowLookup& lookup : lookups) {
    lookup.moment.Put(&lookup.input.table->table(), lookup.input.keys, lookup.sink);
  }
}

absl::Status FindRest(absl::Span<RowLookup> lookups) {
  for (RowLookup& lookup : lookups) {
    const size_t n = lookup.input.keys.size();
    if (lookup.is_degraded != nullptr) std::fill_n(lookup.is_degraded, n, false);
    if (lookup.pending.empty()) continue;
    MissDeadline* const deadline = lookup.deadline ? &*lookup.deadline : nullptr;
    if (deadline != nullptr) deadline->degraded.clear();
    TF_RETURN_IF_ERROR(lookup.input.table->table().FindInStores(lookup.input.keys, lookup.sink,
                                                                &lookup.pending, deadline));
    if (lookup.is_degraded == nullptr || deadline == nullptr) continue;
    for (uint32_t position : deadline->degraded) lookup.is_degraded[position] = true;
  }
  return absl::OkStatus();
}

absl::Status FindAll(absl::Span<RowLookup> lookups) {
  for (RowLookup& lookup : lookups) {
    lookup.pending = Pending::All(lookup.input.keys.size());
    TF_RETURN_IF_ERROR(
        lookup.input.table->table().FindInMemory(lookup.input.keys, lookup.sink, &lookup.pending));
  }
  return FindRest(lookups);
}

// A commit came in between: once more, on this thread.
absl::Status FindAgain(absl::Span<RowLookup> lookups) {
  for (int attempt = 1; attempt < CommitGate::kAttempts; ++attempt) {
    GateOf(lookups[0]).CountRetry();
    for (RowLookup& lookup : lookups) lookup.moment = GateOf(lookup).Begin();
    TF_RETURN_IF_ERROR(FindAll(lookups));
    PutCommit(lookups);
    if (SawOneCommit(lookups)) return absl::OkStatus();
  }
  std::deque<CommitGate::Pin> pins;
  for (const RowLookup& lookup : lookups) pins.emplace_back(&GateOf(lookup));
  return FindAll(lookups);
}

// Pieces are in the order of their positions.
void GatherPending(absl::Span<const Piece> pieces, RowLookup* lookup) {
  size_t left = 0;
  for (const Piece& piece : pieces) left += piece.pending.size();
  std::vector<uint32_t> positions;
  positions.reserve(left);
  for (const Piece& piece : pieces) {
    for (size_t i = 0; i < piece.pending.size(); ++i) positions.push_back(piece.pending[i]);
  }
  lookup->pending.Assign(std::move(positions));
}

// After FindInMemory: memory answered everything, but not as of one commit.
absl::Status FinishInMemory(absl::Span<RowLookup> lookups) {
  if (!AreDone(lookups)) return absl::OkStatus();
  PutCommit(lookups);
  return SawOneCommit(lookups) ? absl::OkStatus() : FindAgain(lookups);
}

absl::Status Find(RowLookup* lookup, Pending* pending) {
  return lookup->input.table->table().FindInMemory(lookup->input.keys, lookup->sink, pending);
}

}  // namespace

absl::Status RowLookup::Prepare(OpKernelContext* ctx, const TableInput& table_input, int ids_input,
                                int output, int64_t embedding_dim, ElementType type) {
  TF_RETURN_IF_ERROR(input.Read(ctx, table_input, ids_input, embedding_dim));
  TensorShape shape = ctx->input(ids_input).shape();
  TF_RETURN_IF_ERROR(shape.AddDimWithStatus(embedding_dim));
  Tensor* rows = nullptr;
  TF_RETURN_IF_ERROR(ctx->allocate_output(output, shape, &rows));
  sink = input.table->SinkFor(type, rows->data());
  pending = Pending::All(input.keys.size());
  deadline = input.table->NewMissDeadline();
  return absl::OkStatus();
}

absl::Status RowLookup::PrepareIsDegraded(OpKernelContext* ctx, int ids_input, int output) {
  Tensor* degraded = nullptr;
  TF_RETURN_IF_ERROR(ctx->allocate_output(output, ctx->input(ids_input).shape(), &degraded));
  is_degraded = degraded->flat<bool>().data();
  std::fill_n(is_degraded, degraded->NumElements(), false);
  return absl::OkStatus();
}

absl::Status FindInMemory(absl::Span<RowLookup> lookups, ParallelPieces* parallel) {
  for (RowLookup& lookup : lookups) lookup.moment = GateOf(lookup).Begin();
  const size_t threads = parallel->threads();
  if (threads == 1) {
    TF_RETURN_IF_ERROR(parallel->ForEach(
        lookups.size(), [&](size_t i) { return Find(&lookups[i], &lookups[i].pending); }));
    return FinishInMemory(lookups);
  }

  size_t keys = 0;
  for (const RowLookup& lookup : lookups) keys += lookup.input.keys.size();
  const size_t keys_per_piece =
      std::max<size_t>(1, std::min(kKeysPerPiece, (keys + threads - 1) / threads));
  std::vector<Piece> pieces;
  pieces.reserve(keys / keys_per_piece + lookups.size());
  for (RowLookup& lookup : lookups) {
    const size_t n = lookup.input.keys.size();
    for (size_t begin = 0; begin < n; begin += keys_per_piece) {
      const size_t end = std::min(n, begin + keys_per_piece);
      pieces.push_back({&lookup, Pending::Range(begin, end)});
    }
  }
  TF_RETURN_IF_ERROR(parallel->ForEach(
      pieces.size(), [&](size_t i) { return Find(pieces[i].lookup, &pieces[i].pending); }));
  for (size_t begin = 0; begin < pieces.size();) {
    size_t end = begin;
    while (end < pieces.size() && pieces[end].lookup == pieces[begin].lookup) ++end;
    GatherPending({&pieces[begin], end - begin}, pieces[begin].lookup);
    begin = end;
  }
  return FinishInMemory(lookups);
}

absl::Status FindInStores(absl::Span<RowLookup> lookups) {
  TF_RETURN_IF_ERROR(FindRest(lookups));
  PutCommit(lookups);
  return SawOneCommit(lookups) ? absl::OkStatus() : FindAgain(lookups);
}

bool AreDone(absl::Span<const RowLookup> lookups) {
  return std::all_of(lookups.begin(), lookups.end(),
                     [](const RowLookup& lookup) { return lookup.pending.empty(); });
}

}  // namespace tf_hps
