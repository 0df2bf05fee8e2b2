#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/common/mutex.h"
#include "cc/common/thread_pool.h"
#include "cc/hierarchy/table_registry.h"
#include "cc/kernels/table_resource.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace tf_hps {
namespace {

using tensorflow::AsyncOpKernel;
using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// Below this many keys a thread's share is not worth waking the thread for.
constexpr int64_t kMinKeysPerShard = 512;

// One call of the op: ids as keys, the output as a sink, and what nobody answered yet.
struct Call {
  std::shared_ptr<TableHandle> table;  // held: the handle may be destroyed meanwhile
  Tensor copied_keys;                  // owns them where they are not the ids themselves
  absl::Span<const Key> keys;
  RowSink sink;
  Pending pending;
};

// Answers from memory on this thread and TensorFlow's intra-op threads.
absl::Status FindInMemory(OpKernelContext* ctx, Call* call) {
  const auto* workers = ctx->device()->tensorflow_cpu_worker_threads();
  const int64_t n = call->keys.size();
  const int64_t shards = std::min<int64_t>(workers->num_threads, n / kMinKeysPerShard);
  if (shards <= 1) {
    call->pending = Pending::All(n);
    return call->table->table().FindInMemory(call->keys, call->sink, &call->pending);
  }

  std::vector<Pending> pending(shards);
  Mutex mutex;
  absl::Status status;
  const auto find_shards = [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      pending[i] = Pending::Range(n * i / shards, n * (i + 1) / shards);
      absl::Status found = CatchExceptions(
          [&] { return call->table->table().FindInMemory(call->keys, call->sink, &pending[i]); });
      MutexLock lock(&mutex);
      status.Update(std::move(found));
    }
  };
  workers->workers->ParallelFor(shards, tensorflow::thread::ThreadPool::SchedulingParams::Fixed(1),
                                find_shards);
  if (!status.ok()) return status;

  size_t left = 0;
  for (const Pending& of_shard : pending) left += of_shard.size();
  std::vector<uint32_t> positions;
  positions.reserve(left);
  for (const Pending& of_shard : pending) {
    for (size_t i = 0; i < of_shard.size(); ++i) positions.push_back(of_shard[i]);
  }
  call->pending.Assign(std::move(positions));
  return absl::OkStatus();
}

// What the two kernels below have in common: everything up to the stores that may wait.
class Lookup {
 public:
  explicit Lookup(OpKernelConstruction* ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("embedding_dim", &embedding_dim_));
    tensorflow::DataType dtype;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("dtype", &dtype));
    type_ = ElementTypeOf(dtype);
  }

  // Allocates the output and answers what memory knows.
  absl::Status Start(OpKernelContext* ctx, Call* call) const {
    return CatchExceptions([&] {
      TF_RETURN_IF_ERROR(Prepare(ctx, call));
      return FindInMemory(ctx, call);
    });
  }

  static absl::Status Finish(Call* call) {
    return CatchExceptions(
        [&] { return call->table->table().FindInStores(call->keys, call->sink, &call->pending); });
  }

 private:
  absl::Status Prepare(OpKernelContext* ctx, Call* call) const {
    auto table = TableOfInput(ctx);
    if (!table.ok()) return table.status();
    call->table = *std::move(table);
    call->table->table().CountLookup();
    const TableSpec& spec = call->table->spec();
    if (spec.embedding_dim != embedding_dim_) {
      return absl::InvalidArgumentError(absl::StrCat("table \"", spec.name, "\" has embedding_dim ",
                                                     spec.embedding_dim, ", the lookup expects ",
                                                     embedding_dim_));
    }
    const Tensor& ids = ctx->input(1);
    if (ids.NumElements() > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "table \"", spec.name, "\": a lookup takes at most ",
          std::numeric_limits<uint32_t>::max(), " ids. Received: ", ids.NumElements()));
    }
    TF_RETURN_IF_ERROR(SetKeys(ctx, ids, call));

    TensorShape shape = ids.shape();
    TF_RETURN_IF_ERROR(shape.AddDimWithStatus(embedding_dim_));
    Tensor* rows = nullptr;
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, shape, &rows));
    call->sink = call->table->SinkFor(type_, rows->data());
    return absl::OkStatus();
  }

  // int64 ids are the keys, without a copy, where the table's range policy does not rewrite them.
  static absl::Status SetKeys(OpKernelContext* ctx, const Tensor& ids, Call* call) {
    const size_t n = ids.NumElements();
    const bool checks_range = call->table->ChecksRange();
    if (ids.dtype() == tensorflow::DT_INT64 && !checks_range) {
      call->keys = {ids.flat<int64_t>().data(), n};
      return absl::OkStatus();
    }
    TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_INT64, ids.shape(), &call->copied_keys));
    int64_t* keys = call->copied_keys.flat<int64_t>().data();
    if (ids.dtype() == tensorflow::DT_INT64) {
      std::copy_n(ids.flat<int64_t>().data(), n, keys);
    } else {
      std::copy_n(ids.flat<int32_t>().data(), n, keys);
    }
    call->keys = {keys, n};
    return checks_range ? call->table->CheckRange({keys, n}) : absl::OkStatus();
  }

  int64_t embedding_dim_ = 0;
  ElementType type_ = ElementType::kFloat32;
};

// An AsyncOpKernel costs 2.4 to 4 us a call (CPU time, batch 32, in a tf.function), done() inline
// or not: TensorFlow copies the call's state and hands what follows to another thread. That is more
// than half of tf.nn.embedding_lookup (5.7 us), too much for tables that memory answers. There this
// kernel waits for a store only now and then, until the preload is over.
class InlineLookupOp : public OpKernel {
 public:
  explicit InlineLookupOp(OpKernelConstruction* ctx) : OpKernel(ctx), lookup_(ctx) {}

  void Compute(OpKernelContext* ctx) override {
    Call call;
    OP_REQUIRES_OK(ctx, lookup_.Start(ctx, &call));
    if (!call.pending.empty()) OP_REQUIRES_OK(ctx, Lookup::Finish(&call));
  }

 private:
  const Lookup lookup_;
};

// For tables with rows that are on a disk for good: TensorFlow's threads, of which there are as
// many as cores, must not wait for it.
class AsyncLookupOp : public AsyncOpKernel {
 public:
  explicit AsyncLookupOp(OpKernelConstruction* ctx) : AsyncOpKernel(ctx), lookup_(ctx) {}

  void ComputeAsync(OpKernelContext* ctx, DoneCallback done) override {
    auto call = std::make_shared<Call>();  // shared: a std::function must be copyable
    const absl::Status status = lookup_.Start(ctx, call.get());
    if (!status.ok() || call->pending.empty()) {
      ctx->SetStatus(status);
      done();
      return;
    }
    // ids and rows live as long as `ctx`, which is until done(). The table is let go of before:
    // whoever drops a model after its last call finds its memory free.
    ThreadPool::ForLookups().Schedule(
        [ctx, call = std::move(call), done = std::move(done)]() mutable {
          auto* const cancellation = ctx->cancellation_manager();
          ctx->SetStatus(cancellation != nullptr && cancellation->IsCancelled()
                             ? absl::CancelledError("HpsLookup was cancelled")
                             : Lookup::Finish(call.get()));
          call.reset();
          done();
        });
  }

 private:
  const Lookup lookup_;
};

// Kernels are made when a graph is first run, after its tables were opened. Either kernel answers
// for any table: one that was made too early waits where it should not, and that is all.
OpKernel* NewLookupOp(OpKernelConstruction* ctx) {
  if (TableRegistry::Get().AnyTableWaits()) return new AsyncLookupOp(ctx);
  return new InlineLookupOp(ctx);
}

const tensorflow::kernel_factory::OpKernelRegistrar registered(
    tensorflow::register_kernel::Name("HpsLookup").Device(DEVICE_CPU).Build(), "HpsLookup",
    NewLookupOp);

}  // namespace
}  // namespace tf_hps
