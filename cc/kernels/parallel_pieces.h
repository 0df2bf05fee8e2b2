#ifndef TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
#define TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// How many threads, this one among them, may work on `keys` keys: TensorFlow's intra-op threads,
// but none for a share that is not worth waking it for.
size_t ThreadsFor(const tensorflow::OpKernelContext* ctx, size_t keys);

// Calls work(i) for every i in [0, pieces), on up to `threads` threads. They take piece after
// piece, and this one does not wait for a thread that comes too late to find any. The first error
// is returned, exceptions among them; pieces not begun by then are left out.
absl::Status ForEachPiece(tensorflow::OpKernelContext* ctx, size_t threads, size_t pieces,
                          const std::function<absl::Status(size_t)>& work);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_PARALLEL_PIECES_H_
