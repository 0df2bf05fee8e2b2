#include "tests/cc/cuda_emulation/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/cc/cuda_emulation/device_memory.h"
#include "tests/cc/cuda_emulation/running_kernel.h"

// Events count how often they were recorded and how far the device came.
struct CudaEmulationEvent {
  uint64_t recorded = 0;
  std::shared_ptr<uint64_t> reached = std::make_shared<uint64_t>(0);
};

namespace cuda_emulation {
namespace {

uint64_t seed_given = 0;
uint64_t state = 1;
unsigned eagerness = 1;  // of 4: how often a call lets the device go some way
int driver_version = 13000;
bool device_lost = false;
bool capture_is_global = false;
thread_local int current_device = 0;
thread_local uint64_t host_waits = 0;
thread_local cudaStreamCaptureMode thread_capture_mode = cudaStreamCaptureModeGlobal;

struct Streams {
  CudaEmulationStream null_stream;
  std::vector<cudaStream_t> all = {&null_stream};
};
Streams& TheStreams() {
  static Streams* const streams = new Streams;
  return *streams;
}
cudaStream_t Of(cudaStream_t stream) {
  if (stream == nullptr) return &TheStreams().null_stream;
  const std::vector<cudaStream_t>& all = TheStreams().all;
  if (std::find(all.begin(), all.end(), stream) == all.end()) Fail("a stream that was destroyed");
  return stream;
}

bool StepStream(cudaStream_t stream) {
  if (stream->running != nullptr) {
    if (!stream->running->Step()) return false;
    if (stream->running->done()) stream->running = nullptr;
    return true;
  }
  if (stream->queue.empty()) return false;
  if (stream->queue.front().kernel) {
    stream->running = stream->queue.front().kernel();
  } else if (!stream->queue.front().step()) {
    return false;
  }
  stream->queue.pop_front();
  return true;
}

// One step of any stream that can make one.
bool Step() {
  const std::vector<cudaStream_t>& all = TheStreams().all;
  const size_t start = Random(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    if (StepStream(all[(start + i) % all.size()])) return true;
  }
  return false;
}

Operation Step(std::function<void()> run) {
  return {[run = std::move(run)] {
            run();
            return true;
          },
          nullptr};
}

void WaitOnHost(const std::function<bool()>& done) {
  if (!done()) ++host_waits;
  RunUntil(done);
}

bool IsIdle(cudaStream_t stream) { return stream->queue.empty() && stream->running == nullptr; }

bool AnyCapture() {
  for (cudaStream_t stream : TheStreams().all) {
    if (stream->capture != nullptr) return true;
  }
  return false;
}

}  // namespace

void Fail(const std::string& what) {
  std::fprintf(stderr, "CUDA emulation, seed %llu: %s\n",
               static_cast<unsigned long long>(seed_given), what.c_str());
  std::abort();
}

void Seed(uint64_t seed) {
  seed_given = seed;
  state = seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull;
  eagerness = static_cast<unsigned>(seed % 4);
}
void SetDriverVersion(int version) { driver_version = version; }
void SetDeviceLost(bool lost) {
  const DeviceLock device_lock;
  device_lost = lost;
}
std::recursive_mutex& DeviceLock::mutex() {
  static auto* const mutex = new std::recursive_mutex;
  return *mutex;
}
bool IsForbiddenByCapture() {
  return AnyCapture() && capture_is_global && thread_capture_mode == cudaStreamCaptureModeGlobal;
}

uint64_t Random(uint64_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 11) % n;
}

uint64_t HostWaits() { return host_waits; }
size_t QueuedOperations() {
  const DeviceLock device_lock;
  size_t n = 0;
  for (cudaStream_t stream : TheStreams().all) n += stream->queue.size() + !IsIdle(stream);
  return n;
}

void RunSome() {
  if (Random(4) >= eagerness) return;
  for (uint64_t n = Random(600); n > 0 && Step(); --n) {
  }
}

void RunUntil(const std::function<bool()>& done) {
  constexpr int64_t kPatience = 200'000'000;  // steps
  for (int64_t n = 0; !done(); ++n) {
    if (!Step()) Fail("nothing can go on: lanes or streams wait for each other");
    if (n == kPatience) Fail("lanes turn in circles");
  }
}

cudaError_t Enqueue(cudaStream_t stream, Operation operation) {
  const DeviceLock device_lock;
  if (device_lost) return cudaErrorLaunchFailure;
  stream = Of(stream);
  if (stream->capture != nullptr) {
    stream->capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  stream->queue.push_back(std::move(operation));
  RunSome();
  return cudaSuccess;
}

cudaError_t Launch(const cudaLaunchConfig_t& config, std::function<void()> lane) {
  if (config.gridDim.x == 0 || config.blockDim.x == 0 || config.blockDim.x > 1024) {
    return cudaErrorInvalidValue;
  }
  return Enqueue(config.stream, {nullptr, [config, lane = std::move(lane)] {
                                   return std::make_unique<RunningKernel>(config, lane);
                                 }});
}

}  // namespace cuda_emulation

using cuda_emulation::Enqueue;
using cuda_emulation::Of;
using cuda_emulation::WaitOnHost;

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }
const char* cudaGetErrorString(cudaError_t) { return "an error of the emulation"; }
cudaError_t cudaDriverGetVersion(int* version) {
  const cuda_emulation::DeviceLock device_lock;
  *version = cuda_emulation::driver_version;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = cuda_emulation::current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  cuda_emulation::current_device = device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  const cuda_emulation::DeviceLock device_lock;
  WaitOnHost([] { return cuda_emulation::QueuedOperations() == 0; });
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  const cuda_emulation::DeviceLock device_lock;
  (void)cudaDeviceSynchronize();  // as CUDA does
  cuda_emulation::FreePinned(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  const cuda_emulation::DeviceLock device_lock;
  *memory = cuda_emulation::AllocateDevice(bytes, cuda_emulation::current_device);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  return Enqueue(stream, cuda_emulation::Step([=] { cuda_emulation::FreeDevice(memory); }));
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  return Enqueue(stream, cuda_emulation::Step([=] {
                   cuda_emulation::CheckCopyFrom(from, bytes);
                   cuda_emulation::CheckCopyTo(to, bytes);
                   std::memcpy(to, from, bytes);
                 }));
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  return Enqueue(stream, cuda_emulation::Step([=] {
                   cuda_emulation::CheckCopyTo(to, bytes);
                   std::memset(to, value, bytes);
                 }));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const cuda_emulation::DeviceLock device_lock;
  *stream = new CudaEmulationStream;
  cuda_emulation::TheStreams().all.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  (void)cudaStreamSynchronize(stream);
  auto& all = cuda_emulation::TheStreams().all;
  all.erase(std::find(all.begin(), all.end(), stream));
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  stream = Of(stream);
  if (stream->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  WaitOnHost([=] { return cuda_emulation::IsIdle(stream); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const cuda_emulation::DeviceLock device_lock;
  *event = new CudaEmulationEvent;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const cuda_emulation::DeviceLock device_lock;
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  if (Of(stream)->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  return Enqueue(stream, cuda_emulation::Step([reached = event->reached, n = ++event->recorded] {
                   *reached = std::max(*reached, n);
                 }));
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const cuda_emulation::DeviceLock device_lock;
  if (Of(stream)->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  return Enqueue(
      stream, {[reached = event->reached, n = event->recorded] { return *reached >= n; }, nullptr});
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const cuda_emulation::DeviceLock device_lock;
  WaitOnHost([=] { return *event->reached >= event->recorded; });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const cuda_emulation::DeviceLock device_lock;
  if (cuda_emulation::IsForbiddenByCapture()) return cudaErrorStreamCaptureUnsupported;
  cuda_emulation::RunSome();
  return *event->reached >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const cuda_emulation::DeviceLock device_lock;
  *status =
      Of(stream)->capture != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, cuda_emulation::thread_capture_mode);
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const cuda_emulation::DeviceLock device_lock;
  cuda_emulation::capture_is_global = mode == cudaStreamCaptureModeGlobal;
  if (cuda_emulation::AnyCapture()) return cudaErrorStreamCaptureUnsupported;
  Of(stream)->capture = new CudaEmulationGraph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const cuda_emulation::DeviceLock device_lock;
  *graph = std::exchange(Of(stream)->capture, nullptr);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const cuda_emulation::DeviceLock device_lock;
  *executable = new CudaEmulationGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const cuda_emulation::DeviceLock device_lock;
  for (const auto& operation : executable->operations) (void)Enqueue(stream, operation);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const cuda_emulation::DeviceLock device_lock;
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const cuda_emulation::DeviceLock device_lock;
  delete executable;
  return cudaSuccess;
}
