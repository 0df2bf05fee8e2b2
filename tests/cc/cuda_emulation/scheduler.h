#ifndef TF_HPS_TESTS_CC_CUDA_EMULATION_SCHEDULER_H_
#define TF_HPS_TESTS_CC_CUDA_EMULATION_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime_api.h"

namespace cuda_emulation {

class RunningKernel;

// Work in a stream's queue. Exactly one of the two; `step` says whether it could be done by now.
struct Operation {
  std::function<bool()> step;
  std::function<std::unique_ptr<RunningKernel>()> kernel;
};

// Held by every call of CUDA's: any thread may call, and whoever waits lets the device go on
// itself.
class DeviceLock {
 public:
  DeviceLock() : lock_(mutex()) {}

 private:
  static std::recursive_mutex& mutex();
  const std::lock_guard<std::recursive_mutex> lock_;
};

// A number below n, from the seed.
uint64_t Random(uint64_t n);

// Puts work into a stream's queue, or into the graph that it is captured into; lets the device go
// some way, or none.
cudaError_t Enqueue(cudaStream_t stream, Operation operation);
// Lets the device go on until `done`; ends the process when nothing can go on before.
void RunUntil(const std::function<bool()>& done);
void RunSome();
// Calls that a capture in the global mode refuses to threads that did not ask for another one.
bool IsForbiddenByCapture();

}  // namespace cuda_emulation

struct CudaEmulationStream {
  std::deque<cuda_emulation::Operation> queue;
  std::unique_ptr<cuda_emulation::RunningKernel> running;
  CudaEmulationGraph* capture = nullptr;
};
struct CudaEmulationGraph {
  std::vector<cuda_emulation::Operation> operations;
};

#endif  // TF_HPS_TESTS_CC_CUDA_EMULATION_SCHEDULER_H_
