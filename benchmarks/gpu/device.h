// What the GPU benchmarks need of a device. An error ends the program: there is nothing to measure.
#ifndef TF_HPS_BENCHMARKS_GPU_DEVICE_H_
#define TF_HPS_BENCHMARKS_GPU_DEVICE_H_

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "benchmarks/gpu/pooled_memory.h"
#include "cc/cache/cuda_status.h"
#include "cc/cache/embedding_cache.h"

namespace tf_hps {

inline void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "gpu_cache: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}
inline void Check(cudaError_t error, absl::string_view doing) { Check(CudaStatus(error, doing)); }
template <class T>
T Value(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

// One stream, and memory that the pool keeps, as TensorFlow's allocator does.
class Device {
 public:
  Device() {
    cudaMemPool_t pool = nullptr;
    uint64_t all = ~uint64_t{0};
    Check(cudaDeviceGetDefaultMemPool(&pool, 0), "find the memory pool");
    Check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "keep memory");
    Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create a stream");
    Check(cudaEventCreateWithFlags(&begin_, 0), "create an event");
    Check(cudaEventCreateWithFlags(&end_, 0), "create an event");
  }
  ~Device() {
    (void)cudaEventDestroy(begin_);
    (void)cudaEventDestroy(end_);
    (void)cudaStreamDestroy(stream);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void Wait() const { Check(cudaStreamSynchronize(stream), "wait for the device"); }
  // Between what `queue` puts on the stream first and last, by the device's clock.
  template <class Queue>
  double Seconds(const Queue& queue) const {
    Check(cudaEventRecord(begin_, stream), "record an event");
    queue();
    Check(cudaEventRecord(end_, stream), "record an event");
    Wait();
    float milliseconds = 0;
    Check(cudaEventElapsedTime(&milliseconds, begin_, end_), "read the time");
    return milliseconds / 1e3;
  }

  cudaStream_t stream = nullptr;
  PooledMemory memory;

 private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

class DeviceArray {
 public:
  DeviceArray(Device* device, size_t bytes)
      : device_(device), memory_(device->memory.Allocate(bytes, device->stream)) {
    if (memory_ != nullptr) return;
    Check(absl::ResourceExhaustedError(
        absl::StrCat("no ", bytes, " bytes of device memory; free: ", device->memory.FreeBytes())));
  }
  template <class T>
  DeviceArray(Device* device, const std::vector<T>& values)
      : DeviceArray(device, values.size() * sizeof(T)) {
    Check(cudaMemcpyAsync(memory_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice,
                          device->stream),
          "copy to the device");
    device->Wait();
  }
  ~DeviceArray() { device_->memory.Free(memory_, device_->stream); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  Device* const device_;
  void* const memory_;
};

// What `queue` puts on the device's stream, to be replayed: the host's part of it is left out.
class Replay {
 public:
  template <class Queue>
  Replay(const Device& device, const Queue& queue) : stream_(device.stream) {
    Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "begin a capture");
    queue();
    Check(cudaStreamEndCapture(stream_, &graph_), "end a capture");
    Check(cudaGraphInstantiate(&executable_, graph_, 0), "instantiate a graph");
  }
  ~Replay() {
    (void)cudaGraphExecDestroy(executable_);
    (void)cudaGraphDestroy(graph_);
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void operator()() const { Check(cudaGraphLaunch(executable_, stream_), "launch a graph"); }

 private:
  const cudaStream_t stream_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

inline double HostSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_DEVICE_H_
