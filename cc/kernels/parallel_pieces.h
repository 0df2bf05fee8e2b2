#ifndef TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
#define TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// Work that TensorFlow's intra-op threads share with this one. They are called when it is made: a
// sleeping thread needs 30 to 50 us to come, in which this one prepares the pieces.
class ParallelPieces {
 public:
  // For about `keys` keys; where a thread's share would not be worth waking it, nobody is called.
  ParallelPieces(tensorflow::OpKernelContext* ctx, size_t keys);
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

  const size_t threads_;
  std::shared_ptr<Shared> shared_;  // null: nobody was called
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
