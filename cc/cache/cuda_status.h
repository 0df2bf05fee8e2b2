#ifndef TF_HPS_CC_CACHE_CUDA_STATUS_H_
#define TF_HPS_CC_CACHE_CUDA_STATUS_H_

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tf_hps {

// `doing` continues "CUDA failed to".
inline absl::Status CudaStatus(cudaError_t error, absl::string_view doing) {
  if (error == cudaSuccess) return absl::OkStatus();
  (void)cudaGetLastError();  // an error that does not stick is not the next call's
  return absl::InternalError(absl::StrCat("CUDA failed to ", doing, ": ", cudaGetErrorName(error),
                                          ", ", cudaGetErrorString(error)));
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_STATUS_H_
