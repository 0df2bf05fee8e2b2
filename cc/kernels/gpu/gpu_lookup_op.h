#ifndef TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_OP_H_
#define TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_OP_H_

#include <array>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "cc/hierarchy/device_lookup.h"
#include "cc/kernels/gpu/gpu_lookup_input.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// Of ids that lie on the GPU.
inline constexpr std::array<tensorflow::DataType, 2> kIntegerIds = {tensorflow::DT_INT32,
                                                                    tensorflow::DT_INT64};

// One lookup of a call, and what it works on.
struct GpuLookup {
  GpuLookupInput input;
  std::vector<tensorflow::Tensor> held;  // until the call is over
  std::unique_ptr<DeviceLookup> lookup;
};

// A lookup kernel on a GPU. No thread of TensorFlow's waits for the device or for a store: the
// device's callback goes on where the stream has come, threads of ours ask the stores.
class GpuLookupOp : public tensorflow::AsyncOpKernel {
 public:
  using AsyncOpKernel::AsyncOpKernel;
  void ComputeAsync(tensorflow::OpKernelContext* ctx, DoneCallback done) override;

 protected:
  // Reads the inputs, allocates the outputs and makes the lookups, not started.
  virtual absl::Status Prepare(tensorflow::OpKernelContext* ctx,
                               std::vector<GpuLookup>* lookups) const = 0;

 private:
  struct Call;
  void Go(std::shared_ptr<Call> call);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_OP_H_
