#include "cc/kernels/gpu/gpu_lookup_op.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/common/thread_pool.h"
#include "cc/hierarchy/device_lookup_group.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/kernels/gpu/gpu_device.h"
#include "tensorflow/core/framework/cancellation.h"

namespace tf_hps {
namespace {

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
  DeviceLookupGroup group;  // goes before what it works on
  bool started = false;

  // Tables are let go of before: whoever drops a model after its last call finds its memory free.
  void Finish(const absl::Status& status) {
    group = DeviceLookupGroup();
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
  for (GpuLookup& one : call->lookups) {
    const bool is_exact = one.input.cache->options().IsExact();
    call->group.Add(std::move(one.lookup), is_exact ? &one.input.table->table().gate() : nullptr);
  }
  Go(std::move(call));
}

void GpuLookupOp::Go(std::shared_ptr<Call> call) {
  WaitsFor next = WaitsFor::kNothing;
  absl::Status status = CatchExceptions([&] {
    if (std::exchange(call->started, true)) TF_RETURN_IF_ERROR(CheckRanges(&call->lookups));
    absl::StatusOr<WaitsFor> stepped = call->group.Step();
    if (stepped.ok()) next = *stepped;
    return stepped.status();
  });
  tensorflow::OpKernelContext* const ctx = call->ctx;
  if (status.ok() && next == WaitsFor::kDevice) {
    status = WhenReached(ctx, [this, call] { Go(call); });
    if (status.ok()) return;
  }
  if (status.ok() && next == WaitsFor::kStores) {
    ThreadPool::ForLookups().Schedule([this, call] {
      auto* const cancellation = call->ctx->cancellation_manager();
      if (cancellation != nullptr && cancellation->IsCancelled()) {
        call->Finish(absl::CancelledError(absl::StrCat(type_string(), " was cancelled")));
      } else {
        Go(call);
      }
    });
    return;
  }
  call->Finish(status);
}

}  // namespace tf_hps
