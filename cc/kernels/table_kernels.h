#ifndef TF_HPS_CC_KERNELS_TABLE_KERNELS_H_
#define TF_HPS_CC_KERNELS_TABLE_KERNELS_H_

#include <memory>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"

namespace tf_hps {

// One at file scope registers the kernels of all table ops for a device; they work on the host. In
// a session graph one op of a handle that a device lacks would pull the lookups away from it.
class TableKernelsRegistrar {
 public:
  explicit TableKernelsRegistrar(const char* device);

 private:
  std::vector<std::unique_ptr<tensorflow::kernel_factory::OpKernelRegistrar>> registrars_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_TABLE_KERNELS_H_
