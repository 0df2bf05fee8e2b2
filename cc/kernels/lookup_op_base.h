#ifndef TF_HPS_CC_KERNELS_LOOKUP_OP_BASE_H_
#define TF_HPS_CC_KERNELS_LOOKUP_OP_BASE_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/common/thread_pool.h"
#include "cc/hierarchy/table_registry.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// The two kernels of every lookup op. Lookup is made from an OpKernelConstruction* and has
//   Call                              what one call of the op holds
//   Start(OpKernelContext*, Call*)    everything up to the stores that may wait
//   IsDone(const Call&)               whether Start answered all
//   Finish(Call*)                     the rest, on a thread that may wait

// An AsyncOpKernel costs 2.4 to 4 us a call (CPU time, batch 32, in a tf.function), done() inline
// or not: TensorFlow copies the call's state and hands what follows to another thread. That is more
// than half of tf.nn.embedding_lookup (5.7 us), too much for tables that memory answers. There this
// kernel waits for a store only now and then, until the preload is over.
template <class Lookup>
class InlineLookupOp : public tensorflow::OpKernel {
 public:
  explicit InlineLookupOp(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx), lookup_(ctx) {}

  void Compute(tensorflow::OpKernelContext* ctx) override {
    OP_REQUIRES_OK(ctx, CatchExceptions([&] {
                     typename Lookup::Call call;
                     const absl::Status status = lookup_.Start(ctx, &call);
                     if (!status.ok() || lookup_.IsDone(call)) return status;
                     return lookup_.Finish(&call);
                   }));
  }

 private:
  const Lookup lookup_;
};

// For tables with rows that are on a disk for good: TensorFlow's threads, of which there are as
// many as cores, must not wait for it.
template <class Lookup>
class AsyncLookupOp : public tensorflow::AsyncOpKernel {
 public:
  explicit AsyncLookupOp(tensorflow::OpKernelConstruction* ctx)
      : AsyncOpKernel(ctx), lookup_(ctx) {}

  void ComputeAsync(tensorflow::OpKernelContext* ctx, DoneCallback done) override {
    // shared: a std::function must be copyable
    auto call = std::make_shared<typename Lookup::Call>();
    const absl::Status status = CatchExceptions([&] { return lookup_.Start(ctx, call.get()); });
    if (!status.ok() || lookup_.IsDone(*call)) {
      ctx->SetStatus(status);
      done();
      return;
    }
    // The tensors live as long as `ctx`, which is until done(). The table is let go of before:
    // whoever drops a model after its last call finds its memory free.
    ThreadPool::ForLookups().Schedule(
        [this, ctx, call = std::move(call), done = std::move(done)]() mutable {
          auto* const cancellation = ctx->cancellation_manager();
          ctx->SetStatus(cancellation != nullptr && cancellation->IsCancelled()
                             ? absl::CancelledError(absl::StrCat(type_string(), " was cancelled"))
                             : CatchExceptions([&] { return lookup_.Finish(call.get()); }));
          call.reset();
          done();
        });
  }

 private:
  const Lookup lookup_;
};

// Kernels are made when a graph is first run, after its tables were opened. Either kernel answers
// for any table: one that was made too early waits where it should not, and that is all.
template <class Lookup>
tensorflow::OpKernel* NewLookupOp(tensorflow::OpKernelConstruction* ctx) {
  if (TableRegistry::Get().AnyTableWaits()) return new AsyncLookupOp<Lookup>(ctx);
  return new InlineLookupOp<Lookup>(ctx);
}

// One at file scope registers an op's kernels.
template <class Lookup>
class LookupOpRegistrar {
 public:
  explicit LookupOpRegistrar(const char* op)
      : registrar_(tensorflow::register_kernel::Name(op).Device(tensorflow::DEVICE_CPU).Build(), op,
                   &NewLookupOp<Lookup>) {}

 private:
  const tensorflow::kernel_factory::OpKernelRegistrar registrar_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_LOOKUP_OP_BASE_H_
