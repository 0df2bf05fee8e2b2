#ifndef TF_HPS_CC_KERNELS_GPU_GPU_DEVICE_H_
#define TF_HPS_CC_KERNELS_GPU_GPU_DEVICE_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/hierarchy/device_cache.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// The GPU that a kernel runs on: TensorFlow's allocator, its compute stream. Devices of different
// sessions that have the same memory are one. FailedPrecondition on a device without a stream.
absl::StatusOr<CacheDevice> DeviceOf(tensorflow::OpKernelContext* ctx);

// Calls `work` once the stream has done what it holds now: on a thread that serves all callbacks of
// the device and must not wait.
absl::Status WhenReached(tensorflow::OpKernelContext* ctx, std::function<void()> work);

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_GPU_GPU_DEVICE_H_
