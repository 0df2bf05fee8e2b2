#ifndef TF_HPS_TESTS_CC_FAKE_GPU_FAKE_STREAM_H_
#define TF_HPS_TESTS_CC_FAKE_GPU_FAKE_STREAM_H_

#include <cuda_runtime_api.h>

#include <string>
#include <utility>
#include <variant>

#include "xla/stream_executor/stream.h"

namespace tf_hps {

// TensorFlow's view of an emulated stream: what a kernel of ours asks of it, and errors for the
// rest.
class FakeStream : public stream_executor::Stream {
 public:
  explicit FakeStream(cudaStream_t stream) : stream_(stream) {}

  PlatformSpecificHandle platform_specific_handle() const override { return {stream_}; }
  bool ok() const override { return true; }
  absl::Status RefreshStatus() override { return absl::OkStatus(); }
  absl::Status BlockHostUntilDone() override {
    (void)cudaStreamSynchronize(stream_);
    return absl::OkStatus();
  }

  absl::StatusOr<Stream*> GetOrCreateSubStream() override { return None(); }
  void ReturnSubStream(Stream*) override {}
  absl::Status WaitFor(Stream*) override { return None(); }
  absl::Status WaitFor(stream_executor::Event*) override { return None(); }
  absl::Status RecordEvent(stream_executor::Event*) override { return None(); }
  absl::Status Memcpy(void*, const stream_executor::DeviceAddressBase&, uint64_t) override {
    return None();
  }
  absl::Status Memcpy(stream_executor::DeviceAddressBase*, const void*, uint64_t) override {
    return None();
  }
  absl::Status DoHostCallbackWithStatus(absl::AnyInvocable<absl::Status() &&>) override {
    return None();
  }
  stream_executor::StreamExecutor* parent() const override { return nullptr; }
  stream_executor::CudaComputeCapability GetCudaComputeCapability() const override { return {}; }
  stream_executor::RocmComputeCapability GetRocmComputeCapability() const override { return {}; }
  stream_executor::OneAPIComputeCapability GetOneAPIComputeCapability() const override {
    return {};
  }
  std::variant<stream_executor::StreamPriority, int> priority() const override { return 0; }
  const std::string& GetName() const override { return name_; }
  void SetName(std::string name) override { name_ = std::move(name); }

 private:
  static absl::Status None() {
    return absl::UnimplementedError("a fake GPU has memory, a stream and callbacks only");
  }

  const cudaStream_t stream_;
  std::string name_ = "fake";
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_FAKE_GPU_FAKE_STREAM_H_
