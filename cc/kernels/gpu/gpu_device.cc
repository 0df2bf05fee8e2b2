#include "cc/kernels/gpu/gpu_device.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/mutex.h"
#include "tensorflow/core/framework/allocator.h"
#include "tensorflow/core/framework/device.h"
#include "tensorflow/core/framework/device_base.h"
#include "xla/stream_executor/stream.h"

namespace tf_hps {
namespace {

// TensorFlow's allocator gives memory back in the order of its compute stream, as DeviceMemory
// wants it.
class TensorFlowMemory : public DeviceMemory {
 public:
  explicit TensorFlowMemory(tensorflow::Allocator* allocator) : allocator_(allocator) {}

  void* Allocate(size_t bytes, CacheStream) override {
    tensorflow::AllocationAttributes attributes;
    // Others give small pieces back soon; a cache that does not fit now will not fit either.
    attributes.retry_on_failure = bytes < kWorthWaiting;
    return allocator_->AllocateRaw(256, bytes, attributes);
  }
  void Free(void* memory, CacheStream) override { allocator_->DeallocateRaw(memory); }
  size_t FreeBytes() override {
    const auto stats = allocator_->GetStats();
    // cudaMallocAsync's allocator has no limit of its own.
    if (!stats.has_value() || !stats->bytes_limit.has_value()) return CudaFreeBytes();
    return static_cast<size_t>(*stats->bytes_limit - stats->bytes_in_use);
  }

 private:
  static constexpr size_t kWorthWaiting = size_t{64} << 20;
  tensorflow::Allocator* const allocator_;
};

// As long as the process: allocators of GPUs are, and tables may be.
DeviceMemory* MemoryOf(tensorflow::Allocator* allocator) {
  static auto* const mutex = new Mutex;
  static auto* const memories =
      new std::map<tensorflow::Allocator*, std::unique_ptr<TensorFlowMemory>>;
  MutexLock lock(mutex);
  std::unique_ptr<TensorFlowMemory>& memory = (*memories)[allocator];
  if (memory == nullptr) memory = std::make_unique<TensorFlowMemory>(allocator);
  return memory.get();
}

}  // namespace

absl::StatusOr<CacheDevice> DeviceOf(tensorflow::OpKernelContext* ctx) {
  const tensorflow::DeviceContext* const context = ctx->op_device_context();
  const auto* const info = ctx->device()->tensorflow_accelerator_device_info();
  if (context == nullptr || context->stream() == nullptr || info == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", ctx->device()->name(), " has no stream for a GPU's kernels"));
  }
  tensorflow::Allocator* const allocator = ctx->device()->GetAllocator({});
  CacheDevice device;
  device.id = allocator;
  device.name = absl::StrCat("/GPU:", ctx->device()->parsed_name().id);
  device.number = info->gpu_id;
  device.memory = MemoryOf(allocator);
  device.stream = context->stream()->platform_specific_handle().stream;
  device.new_cache = &NewCudaCache;
  return device;
}

absl::Status WhenReached(tensorflow::OpKernelContext* ctx, std::function<void()> work) {
  tensorflow::DeviceContext* const context = ctx->op_device_context();
  auto* const device = static_cast<tensorflow::Device*>(ctx->device()->UnderlyingDevice());
  return context->ThenExecute(device, context->stream(), std::move(work));
}

}  // namespace tf_hps
