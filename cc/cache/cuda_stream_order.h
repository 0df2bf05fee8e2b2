#ifndef TF_HPS_CC_CACHE_CUDA_STREAM_ORDER_H_
#define TF_HPS_CC_CACHE_CUDA_STREAM_ORDER_H_

#include <cuda_runtime_api.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tf_hps {

// Orders writes of one cache with everything else that uses it. All work is the writer's: it waits
// for the other streams and lets them wait for it. So a lookup costs no event, and the replay of a
// captured one is in order as well. Not thread-safe: the cache's mutex is held from BeforeRead to
// the launch, and from BeforeWrite to AfterWrite.
class CudaStreamOrder {
 public:
  ~CudaStreamOrder();
  // A stream seen first comes after what the others hold. FailedPrecondition for a new stream that
  // is being captured.
  absl::Status BeforeRead(cudaStream_t stream);
  // FailedPrecondition while one of the streams is being captured.
  absl::Status BeforeWrite(cudaStream_t stream);
  absl::Status AfterWrite(cudaStream_t stream);
  void WaitForAll();  // the host, for the end

 private:
  struct Known {
    cudaStream_t stream;
    cudaEvent_t event;
  };
  absl::Status Add(cudaStream_t stream);
  absl::Status WaitForOthers(cudaStream_t stream);

  std::vector<Known> known_;
};

// Whether work on the stream goes into a graph at present.
absl::StatusOr<bool> IsCapturing(cudaStream_t stream);

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_STREAM_ORDER_H_
