#include "cc/kernels/parallel_pieces.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "cc/common/exceptions.h"
#include "cc/common/mutex.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace tf_hps {
namespace {

// Below this many keys a thread's share is not worth waking the thread for.
constexpr size_t kMinKeysPerThread = 512;

// Outlives the call: a thread that comes too late looks here that nothing is left.
class Pieces {
 public:
  Pieces(size_t pieces, const std::function<absl::Status(size_t)>* work)
      : pieces_(pieces), work_(work) {}

  void TakeAll() {
    for (;;) {
      const size_t piece = next_.fetch_add(1, std::memory_order_relaxed);
      if (piece >= pieces_) return;
      absl::Status done;
      if (!failed_.load(std::memory_order_relaxed)) {
        done = CatchExceptions([&] { return (*work_)(piece); });
      }
      MutexLock lock(&mutex_);
      if (!done.ok()) {
        failed_.store(true, std::memory_order_relaxed);
        status_.Update(std::move(done));
      }
      if (++done_ == pieces_) all_done_.NotifyAll();
    }
  }

  absl::Status Wait() {
    MutexLock lock(&mutex_);
    while (done_ < pieces_) all_done_.Wait(&mutex_);
    return status_;
  }

 private:
  const size_t pieces_;
  const std::function<absl::Status(size_t)>* const work_;  // while a piece is left
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  CondVar all_done_;
  size_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

size_t ThreadsFor(const tensorflow::OpKernelContext* ctx, size_t keys) {
  const size_t threads = ctx->device()->tensorflow_cpu_worker_threads()->num_threads;
  return std::max<size_t>(1, std::min(threads, keys / kMinKeysPerThread));
}

absl::Status ForEachPiece(tensorflow::OpKernelContext* ctx, size_t threads, size_t pieces,
                          const std::function<absl::Status(size_t)>& work) {
  if (threads <= 1 || pieces <= 1) {
    for (size_t i = 0; i < pieces; ++i) {
      absl::Status status = work(i);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
  const auto shared = std::make_shared<Pieces>(pieces, &work);
  auto* const workers = ctx->device()->tensorflow_cpu_worker_threads()->workers;
  for (size_t i = 1; i < std::min(threads, pieces); ++i) {
    workers->Schedule([shared] { shared->TakeAll(); });
  }
  shared->TakeAll();
  return shared->Wait();
}

}  // namespace tf_hps
