#ifndef TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
#define TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// What a key of a kernel costs, as its last calls have shown: 10 ns where the rows lie in a core's
// cache, 100 where they come from memory, which no kernel can know beforehand. Thread-safe.
class KeyCost {
 public:
  double nanoseconds() const { return nanoseconds_.load(std::memory_order_relaxed); }
  void Observe(double nanoseconds) {
    const double before = this->nanoseconds();
    // Two at once may forget one: it is an estimate.
    nanoseconds_.store(before + (nanoseconds - before) / 8, std::memory_order_relaxed);
  }

 private:
  std::atomic<double> nanoseconds_{60};
};

// Work that TensorFlow's intra-op threads share with this one. They are called when it is made: a
// sleeping thread needs 30 to 50 us to come, in which this one prepares the pieces.
class ParallelPieces {
 public:
  // For `keys` keys, of which `cost` tells, and is told, the price; where a thread's share would
  // not be worth waking it, nobody is called.
  ParallelPieces(tensorflow::OpKernelContext* ctx, size_t keys, KeyCost* cost);
  // Sends those away who wait for pieces.
  ~ParallelPieces();
  ParallelPieces(const ParallelPieces&) = delete;
  ParallelPieces& operator=(const ParallelPieces&) = delete;

  // How many threads, this one among them, may work.
  size_t threads() const { return threads_; }

  // Calls work(i) for every i in [0, pieces), once a ParallelPieces. The threads take piece after
  // piece, and this one does not wait for a thread that comes too late to find any. The first error
  // is returned, exceptions among them; pieces not begun by then are left out.
  absl::Status ForEach(size_t pieces, const std::function<absl::Status(size_t)>& work);

 private:
  class Shared;

  const size_t keys_;
  KeyCost* const cost_;
  const size_t threads_;
  std::shared_ptr<Shared> shared_;  // null: nobody was called
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
