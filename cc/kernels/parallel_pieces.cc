#include "cc/kernels/parallel_pieces.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "cc/common/exceptions.h"
#include "cc/common/mutex.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace tf_hps {
namespace {

// Below this many keys a thread's share is not worth waking the thread for.
constexpr size_t kMinKeysPerThread = 256;
// Looks before a waiting thread lets others have the core, and before it sleeps. A look takes some
// 40 ns, a sleep and the wake-up together 50 us.
constexpr int kLooksBeforeYield = 500;
constexpr int kLooksBeforeSleep = 1000;

size_t ThreadsFor(const tensorflow::OpKernelContext* ctx, size_t keys) {
  const size_t threads = ctx->device()->tensorflow_cpu_worker_threads()->num_threads;
  return std::max<size_t>(1, std::min(threads, keys / kMinKeysPerThread));
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// Outlives the call: a thread that comes too late looks here that nothing is left.
class ParallelPieces::Shared {
 public:
  // Before Begin nobody takes a piece; `work` must stay until Wait returned.
  void Begin(size_t pieces, const std::function<absl::Status(size_t)>* work) {
    pieces_ = pieces;
    work_ = work;
    state_.store(kBegun, std::memory_order_release);
  }
  void End() { state_.store(kEnded, std::memory_order_release); }

  void WaitAndTakeAll() {
    for (int looks = 0; state_.load(std::memory_order_acquire) == kNotBegun; ++looks) {
      if (looks < kLooksBeforeYield) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
    if (state_.load(std::memory_order_acquire) == kBegun) TakeAll(/*from_front=*/false);
  }

  // The caller takes pieces from the front, those who help from the back: so each thread mostly
  // gets the pieces, and with them the tables and the output's memory, that it had a call ago, and
  // that its core's cache holds.
  void TakeAll(bool from_front) {
    while (taken_.fetch_add(1, std::memory_order_relaxed) < pieces_) {
      const size_t piece = from_front
                               ? from_front_.fetch_add(1, std::memory_order_relaxed)
                               : pieces_ - 1 - from_back_.fetch_add(1, std::memory_order_relaxed);
      absl::Status done;
      if (!failed_.load(std::memory_order_relaxed)) {
        done = CatchExceptions([&] { return (*work_)(piece); });
      }
      if (!done.ok()) {
        failed_.store(true, std::memory_order_relaxed);
        MutexLock lock(&mutex_);
        status_.Update(std::move(done));
      }
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces_) {
        MutexLock lock(&mutex_);
        all_done_.NotifyAll();
      }
    }
  }

  absl::Status Wait() {
    for (int looks = 0; looks < kLooksBeforeSleep; ++looks) {
      if (done_.load(std::memory_order_acquire) == pieces_) break;
      Pause();
    }
    MutexLock lock(&mutex_);
    while (done_.load(std::memory_order_acquire) < pieces_) all_done_.Wait(&mutex_);
    return status_;
  }

 private:
  enum State { kNotBegun, kBegun, kEnded };

  std::atomic<State> state_{kNotBegun};
  // Constant after Begin.
  size_t pieces_ = 0;
  const std::function<absl::Status(size_t)>* work_ = nullptr;  // while a piece is left

  std::atomic<size_t> taken_{0}, from_front_{0}, from_back_{0}, done_{0};
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  CondVar all_done_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

ParallelPieces::ParallelPieces(tensorflow::OpKernelContext* ctx, size_t keys)
    : threads_(ThreadsFor(ctx, keys)) {
  if (threads_ == 1) return;
  shared_ = std::make_shared<Shared>();
  auto* const workers = ctx->device()->tensorflow_cpu_worker_threads()->workers;
  for (size_t i = 1; i < threads_; ++i) {
    workers->Schedule([shared = shared_] { shared->WaitAndTakeAll(); });
  }
}

ParallelPieces::~ParallelPieces() {
  if (shared_ != nullptr) shared_->End();
}

absl::Status ParallelPieces::ForEach(size_t pieces,
                                     const std::function<absl::Status(size_t)>& work) {
  if (shared_ == nullptr) {
    for (size_t i = 0; i < pieces; ++i) {
      absl::Status status = work(i);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
  shared_->Begin(pieces, &work);
  shared_->TakeAll(/*from_front=*/true);
  return shared_->Wait();
}

}  // namespace tf_hps
