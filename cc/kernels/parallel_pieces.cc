#include "cc/kernels/parallel_pieces.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "cc/common/exceptions.h"
#include "cc/common/mutex.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace tf_hps {
namespace {

// A thread that sleeps is worth waking for this much.
constexpr double kWorthWaking = 20'000;  // ns
// Fewer keys are never worth it, and not worth two looks at the clock either.
constexpr size_t kMinKeysPerThread = 128;
// Looks before a waiting thread lets others have the core, and before it sleeps. A look takes some
// 40 ns, a sleep and the wake-up together 50 us.
constexpr int kLooksBeforeYield = 500;
constexpr int kLooksBeforeSleep = 1000;

size_t ThreadsFor(const tensorflow::OpKernelContext* ctx, size_t keys, const KeyCost& cost) {
  if (keys < 2 * kMinKeysPerThread) return 1;
  const size_t threads = ctx->device()->tensorflow_cpu_worker_threads()->num_threads;
  const double worth = static_cast<double>(keys) * cost.nanoseconds() / kWorthWaking;
  return std::max<size_t>(
      1, std::min({threads, keys / kMinKeysPerThread, static_cast<size_t>(worth)}));
}

absl::Status ForEachAlone(size_t pieces, const std::function<absl::Status(size_t)>& work) {
  for (size_t i = 0; i < pieces; ++i) {
    absl::Status status = work(i);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
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
  // that its core's cache holds. Returns how many it took.
  size_t TakeAll(bool from_front) {
    size_t mine = 0;
    for (; taken_.fetch_add(1, std::memory_order_relaxed) < pieces_; ++mine) {
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
    return mine;
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

ParallelPieces::ParallelPieces(tensorflow::OpKernelContext* ctx, size_t keys, KeyCost* cost)
    : keys_(keys), cost_(cost), threads_(ThreadsFor(ctx, keys, *cost)) {
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
  if (keys_ < 2 * kMinKeysPerThread) return ForEachAlone(pieces, work);
  const auto started = std::chrono::steady_clock::now();
  size_t mine = pieces;
  absl::Status status;
  if (shared_ == nullptr) {
    status = ForEachAlone(pieces, work);
  } else {
    shared_->Begin(pieces, &work);
    mine = shared_->TakeAll(/*from_front=*/true);
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - started;
  const double keys = static_cast<double>(keys_) * static_cast<double>(mine) /
                      static_cast<double>(std::max<size_t>(1, pieces));
  if (mine > 0) cost_->Observe(took.count() / keys);
  return shared_ == nullptr ? status : shared_->Wait();
}

}  // namespace tf_hps
