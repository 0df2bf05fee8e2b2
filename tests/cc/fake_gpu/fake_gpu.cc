// Registers /GPU:0 and /GPU:1 on emulated CUDA with TensorFlow. See README.md.
#include <cuda_runtime_api.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/common_runtime/local_device.h"
#include "tensorflow/core/framework/allocator.h"
#include "tensorflow/core/framework/device_factory.h"
#include "tests/cc/fake_gpu/fake_device_context.h"

namespace tf_hps {
namespace {

using tensorflow::Allocator;
using tensorflow::AllocatorAttributes;
using tensorflow::Tensor;

constexpr int kDevices = 2;

// Emulated device memory; freed in the order of the device's stream.
class FakeAllocator : public Allocator {
 public:
  FakeAllocator(int device, cudaStream_t stream) : device_(device), stream_(stream) {}
  std::string Name() override { return absl::StrCat("fake_gpu_", device_); }
  void* AllocateRaw(size_t, size_t bytes) override {
    int before = 0;
    void* memory = nullptr;
    (void)cudaGetDevice(&before);
    (void)cudaSetDevice(device_);
    (void)cudaMallocAsync(&memory, bytes, stream_);
    (void)cudaSetDevice(before);
    return memory;
  }
  void DeallocateRaw(void* memory) override { (void)cudaFreeAsync(memory, stream_); }
  tensorflow::AllocatorMemoryType GetMemoryType() const override {
    return tensorflow::AllocatorMemoryType::kDevice;
  }

 private:
  const int device_;
  const cudaStream_t stream_;
};

// What lasts as long as the process: sessions make devices of their own around it.
struct Hardware {
  explicit Hardware(int device) {
    (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    allocator = std::make_unique<FakeAllocator>(device, stream);
    context = new FakeDeviceContext(stream);
    info.stream = context->stream();
    info.default_context = context;
    info.gpu_id = device;
  }
  cudaStream_t stream = nullptr;
  std::unique_ptr<FakeAllocator> allocator;
  FakeDeviceContext* context;
  tensorflow::DeviceBase::AcceleratorDeviceInfo info;
};
Hardware& HardwareOf(int device) {
  static auto* const hardware = [] {
    auto* const all = new std::array<std::unique_ptr<Hardware>, kDevices>;
    for (int d = 0; d < kDevices; ++d) (*all)[d] = std::make_unique<Hardware>(d);
    return all;
  }();
  return *(*hardware)[device];
}

class FakeGpu : public tensorflow::LocalDevice {
 public:
  FakeGpu(const tensorflow::SessionOptions& options, const tensorflow::DeviceAttributes& attributes,
          int device)
      : LocalDevice(options, attributes), hardware_(HardwareOf(device)) {
    set_tensorflow_accelerator_device_info(&hardware_.info);
  }

  Allocator* GetAllocator(AllocatorAttributes attributes) override {
    return attributes.on_host() ? tensorflow::cpu_allocator() : hardware_.allocator.get();
  }
  absl::Status TryGetDeviceContext(tensorflow::DeviceContext** context) override {
    hardware_.context->Ref();
    *context = hardware_.context;
    return absl::OkStatus();
  }
  absl::Status Sync() override { return hardware_.context->stream()->BlockHostUntilDone(); }
  absl::Status MakeTensorFromProto(const tensorflow::TensorProto& proto,
                                   const AllocatorAttributes attributes, Tensor* tensor) override {
    Tensor parsed;
    if (!parsed.FromProto(tensorflow::cpu_allocator(), proto)) {
      return absl::InvalidArgumentError("a constant that is none");
    }
    if (attributes.on_host() || parsed.dtype() == tensorflow::DT_STRING) {
      *tensor = std::move(parsed);
      return absl::OkStatus();
    }
    *tensor = Tensor(GetAllocator(attributes), parsed.dtype(), parsed.shape());
    return hardware_.context->CopyCPUTensorToDeviceSync(&parsed, this, tensor);
  }

 private:
  Hardware& hardware_;
};

class FakeGpuFactory : public tensorflow::DeviceFactory {
 public:
  absl::Status ListPhysicalDevices(std::vector<std::string>* devices) override {
    for (int d = 0; d < kDevices; ++d) {
      devices->push_back(absl::StrCat("/physical_device:GPU:", d));
    }
    return absl::OkStatus();
  }
  absl::Status CreateDevices(const tensorflow::SessionOptions& options,
                             const std::string& name_prefix,
                             std::vector<std::unique_ptr<tensorflow::Device>>* devices) override {
    for (int d = 0; d < kDevices; ++d) {
      devices->push_back(std::make_unique<FakeGpu>(
          options,
          tensorflow::Device::BuildDeviceAttributes(
              absl::StrCat(name_prefix, "/device:GPU:", d), tensorflow::DeviceType("GPU"),
              tensorflow::Bytes(256 << 20), tensorflow::DeviceLocality(),
              absl::StrCat("device: ", d, ", name: a fake GPU on emulated CUDA")),
          d));
    }
    return absl::OkStatus();
  }
};

// Above TensorFlow's own GPUs (210): a machine that has some tests this all the same.
const bool registered = [] {
  tensorflow::DeviceFactory::Register("GPU", std::make_unique<FakeGpuFactory>(), 220,
                                      /*is_pluggable_device=*/false);
  return true;
}();

}  // namespace
}  // namespace tf_hps
