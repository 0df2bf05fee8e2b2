#include "cc/kernels/gpu/gpu_lookup_op.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/common/thread_pool.h"
#include "cc/kernels/gpu/gpu_device.h"
#include "tensorflow/core/framework/cancellation.h"

namespace tf_hps {
namespace {

// Each lookup that waited for what was reached makes a step. What the call waits for then: the
// stores, whose thread lets the device get on.
absl::StatusOr<WaitsFor> StepAll(std::vector<GpuLookup>* lookups, WaitsFor reached) {
  WaitsFor next = WaitsFor::kNothing;
  for (GpuLookup& one : *lookups) {
    if (one.waits_for == reached) {
      absl::StatusOr<WaitsFor> waits_for = one.lookup->Step();
      if (!waits_for.ok()) return waits_for;
      one.waits_for = *waits_for;
    }
    if (one.waits_for == WaitsFor::kStores || next == WaitsFor::kNothing) next = one.waits_for;
  }
  return next;
}

absl::Status CheckRanges(std::vector<GpuLookup>* lookups) {
  for (GpuLookup& one : *lookups) {
    TF_RETURN_IF_ERROR(one.input.CheckRange());
    one.input.bad_ids.reset();
  }
  return absl::OkStatus();
}

}  // namespace

struct GpuLookupOp::Call {
  tensorflow::OpKernelContext* ctx;
  DoneCallback done;
  std::vector<GpuLookup> lookups;
  bool started = false;

  // Tables are let go of before: whoever drops a model after its last call finds its memory free.
  void Finish(const absl::Status& status) {
    lookups.clear();
    ctx->SetStatus(status);
    const DoneCallback then = std::move(done);
    then();
  }
};

void GpuLookupOp::ComputeAsync(tensorflow::OpKernelContext* ctx, DoneCallback done) {
  auto call = std::make_shared<Call>();
  call->ctx = ctx;
  call->done = std::move(done);
  const absl::Status status = CatchExceptions([&] { return Prepare(ctx, &call->lookups); });
  if (!status.ok()) {
    call->Finish(status);
    return;
  }
  Go(std::move(call), WaitsFor::kDevice);
}

void GpuLookupOp::Go(std::shared_ptr<Call> call, WaitsFor reached) {
  WaitsFor next = WaitsFor::kNothing;
  absl::Status status = CatchExceptions([&] {
    if (std::exchange(call->started, true)) TF_RETURN_IF_ERROR(CheckRanges(&call->lookups));
    absl::StatusOr<WaitsFor> stepped = StepAll(&call->lookups, reached);
    if (stepped.ok()) next = *stepped;
    return stepped.status();
  });
  tensorflow::OpKernelContext* const ctx = call->ctx;
  if (status.ok() && next == WaitsFor::kDevice) {
    status = WhenReached(ctx, [this, call] { Go(call, WaitsFor::kDevice); });
    if (status.ok()) return;
  }
  if (status.ok() && next == WaitsFor::kStores) {
    ThreadPool::ForLookups().Schedule([this, call] {
      auto* const cancellation = call->ctx->cancellation_manager();
      if (cancellation != nullptr && cancellation->IsCancelled()) {
        call->Finish(absl::CancelledError(absl::StrCat(type_string(), " was cancelled")));
      } else {
        Go(call, WaitsFor::kStores);
      }
    });
    return;
  }
  call->Finish(status);
}

}  // namespace tf_hps
