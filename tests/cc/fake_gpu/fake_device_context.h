#ifndef TF_HPS_TESTS_CC_FAKE_GPU_FAKE_DEVICE_CONTEXT_H_
#define TF_HPS_TESTS_CC_FAKE_GPU_FAKE_DEVICE_CONTEXT_H_

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "cc/common/mutex.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/tensor.h"
#include "tests/cc/fake_gpu/fake_stream.h"

namespace tf_hps {

// Copies and callbacks of a fake GPU. As TensorFlow's, one thread calls back when the stream has
// come there, and must not be held up.
class FakeDeviceContext : public tensorflow::DeviceContext {
 public:
  explicit FakeDeviceContext(cudaStream_t stream)
      : cuda_stream_(stream), stream_(stream), callbacks_([this] { CallBack(); }) {
    callbacks_.detach();  // as long as the process
  }

  stream_executor::Stream* stream() const override { return const_cast<FakeStream*>(&stream_); }

  void CopyCPUTensorToDevice(const tensorflow::Tensor* cpu_tensor, tensorflow::Device*,
                             tensorflow::Tensor* device_tensor, tensorflow::StatusCallback done,
                             bool) const override {
    Copy(*cpu_tensor, *device_tensor, cudaMemcpyHostToDevice, std::move(done));
  }
  void CopyDeviceTensorToCPU(const tensorflow::Tensor* device_tensor, absl::string_view,
                             tensorflow::Device*, tensorflow::Tensor* cpu_tensor,
                             tensorflow::StatusCallback done) override {
    Copy(*device_tensor, *cpu_tensor, cudaMemcpyDeviceToHost, std::move(done));
  }
  void CopyTensorInSameDevice(const tensorflow::Tensor* from, tensorflow::Device*,
                              tensorflow::Tensor* to,
                              tensorflow::StatusCallback done) const override {
    Copy(*from, *to, cudaMemcpyDeviceToDevice, std::move(done));
  }
  absl::Status ThenExecute(tensorflow::Device*, stream_executor::Stream*,
                           std::function<void()> func) override {
    WhenReached(std::move(func));
    return absl::OkStatus();
  }

 private:
  struct Callback {
    cudaEvent_t event;
    std::function<void()> run;
  };

  void Copy(const tensorflow::Tensor& from, const tensorflow::Tensor& to, cudaMemcpyKind kind,
            tensorflow::StatusCallback done) const {
    const auto bytes = from.tensor_data();
    if (!bytes.empty()) {
      (void)cudaMemcpyAsync(const_cast<char*>(to.tensor_data().data()), bytes.data(), bytes.size(),
                            kind, cuda_stream_);
    }
    // Both are held until the copy is over.
    WhenReached([from, to, done = std::move(done)] { done(absl::OkStatus()); });
  }
  void WhenReached(std::function<void()> run) const {
    Callback callback = {nullptr, std::move(run)};
    (void)cudaEventCreateWithFlags(&callback.event, cudaEventDisableTiming);
    // In the order of the events.
    MutexLock lock(&mutex_);
    (void)cudaEventRecord(callback.event, cuda_stream_);
    waiting_.push_back(std::move(callback));
    arrived_.NotifyOne();
  }
  void CallBack() {
    while (true) {
      Callback next;
      {
        MutexLock lock(&mutex_);
        while (waiting_.empty()) arrived_.Wait(&mutex_);
        next = std::move(waiting_.front());
        waiting_.pop_front();
      }
      (void)cudaEventSynchronize(next.event);
      (void)cudaEventDestroy(next.event);
      next.run();
    }
  }

  const cudaStream_t cuda_stream_;
  const FakeStream stream_;
  mutable Mutex mutex_;
  mutable CondVar arrived_;
  mutable std::deque<Callback> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread callbacks_;  // last: it uses the others
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_FAKE_GPU_FAKE_DEVICE_CONTEXT_H_
