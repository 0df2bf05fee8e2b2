#include "cc/kernels/table_kernels.h"
#include "tensorflow/core/framework/types.h"

namespace tf_hps {
namespace {

const TableKernelsRegistrar gpu_table_kernels_are_registered(tensorflow::DEVICE_GPU);

}  // namespace
}  // namespace tf_hps
