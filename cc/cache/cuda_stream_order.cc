#include "cc/cache/cuda_stream_order.h"

#include "cc/cache/cuda_status.h"

namespace tf_hps {

absl::StatusOr<bool> IsCapturing(cudaStream_t stream) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (absl::Status status =
          CudaStatus(cudaStreamIsCapturing(stream, &capture), "ask for a stream's capture");
      !status.ok()) {
    return status;
  }
  return capture != cudaStreamCaptureStatusNone;
}

CudaStreamOrder::~CudaStreamOrder() {
  for (const Known& known : known_) (void)cudaEventDestroy(known.event);
}

absl::Status CudaStreamOrder::Add(cudaStream_t stream) {
  for (const Known& known : known_) {
    if (known.stream == stream) return absl::OkStatus();
  }
  absl::StatusOr<bool> capturing = IsCapturing(stream);
  if (!capturing.ok()) return capturing.status();
  if (*capturing) {
    return absl::FailedPreconditionError(
        "a cache is used with a stream for the first time while that stream is being captured; "
        "run one lookup on it before");
  }
  if (absl::Status status = WaitForOthers(stream); !status.ok()) return status;
  Known known = {stream, nullptr};
  if (absl::Status status = CudaStatus(
          cudaEventCreateWithFlags(&known.event, cudaEventDisableTiming), "create an event");
      !status.ok()) {
    return status;
  }
  known_.push_back(known);
  return absl::OkStatus();
}

absl::Status CudaStreamOrder::WaitForOthers(cudaStream_t stream) {
  for (const Known& known : known_) {
    if (known.stream == stream) continue;
    absl::StatusOr<bool> capturing = IsCapturing(known.stream);
    if (!capturing.ok()) return capturing.status();
    if (*capturing) {
      return absl::FailedPreconditionError(
          "a cache is written while one of its streams is being captured");
    }
    absl::Status status = CudaStatus(cudaEventRecord(known.event, known.stream), "record an event");
    if (status.ok()) {
      status = CudaStatus(cudaStreamWaitEvent(stream, known.event, 0), "wait for a stream");
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CudaStreamOrder::BeforeRead(cudaStream_t stream) { return Add(stream); }

absl::Status CudaStreamOrder::BeforeWrite(cudaStream_t stream) {
  if (absl::Status status = Add(stream); !status.ok()) return status;
  absl::StatusOr<bool> capturing = IsCapturing(stream);
  if (!capturing.ok()) return capturing.status();
  if (*capturing) {
    return absl::FailedPreconditionError("writes to a cache cannot be captured into a graph");
  }
  return WaitForOthers(stream);
}

absl::Status CudaStreamOrder::AfterWrite(cudaStream_t stream) {
  for (const Known& writer : known_) {
    if (writer.stream != stream) continue;
    absl::Status status = CudaStatus(cudaEventRecord(writer.event, stream), "record an event");
    for (const Known& other : known_) {
      if (!status.ok()) return status;
      if (other.stream == stream) continue;
      status = CudaStatus(cudaStreamWaitEvent(other.stream, writer.event, 0), "wait for a stream");
    }
    return status;
  }
  return absl::OkStatus();
}

void CudaStreamOrder::WaitForAll() {
  for (const Known& known : known_) (void)cudaStreamSynchronize(known.stream);
}

}  // namespace tf_hps
