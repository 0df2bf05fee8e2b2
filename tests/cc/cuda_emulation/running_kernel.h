#ifndef TF_HPS_TESTS_CC_CUDA_EMULATION_RUNNING_KERNEL_H_
#define TF_HPS_TESTS_CC_CUDA_EMULATION_RUNNING_KERNEL_H_

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "cuda_runtime.h"
#include "tests/cc/cuda_emulation/fiber.h"

namespace cuda_emulation {

// Blocks, warps and lanes of one launch. Some blocks are resident, in any order; any lane that does
// not wait may be next.
class RunningKernel {
 public:
  RunningKernel(const cudaLaunchConfig_t& config, std::function<void()> lane);
  bool done() const { return warps_.empty() && blocks_left_.empty(); }
  // Lets one lane go on. False where all of them wait.
  bool Step();

  uint64_t Meet(Collective collective, unsigned mask, uint64_t value, unsigned source);
  const LaneIndex& index() const { return lane_->index; }

 private:
  struct Lane {
    std::unique_ptr<Fiber> fiber;
    LaneIndex index;
    bool waits = false;
    Collective collective = Collective::kSync;
    unsigned mask = 0;
    uint64_t value = 0;
    unsigned source = 0;
    uint64_t result = 0;
  };
  struct Warp {
    std::vector<Lane> lanes;
  };
  void StartBlock();
  void Complete(Warp* warp, unsigned mask);

  const cudaLaunchConfig_t config_;
  const std::function<void()> run_;
  std::vector<unsigned> blocks_left_;
  std::vector<std::unique_ptr<Warp>> warps_;
  Warp* warp_ = nullptr;
  Lane* lane_ = nullptr;
};

// Whose lane is on; null on the host.
extern RunningKernel* current_kernel;

}  // namespace cuda_emulation

#endif  // TF_HPS_TESTS_CC_CUDA_EMULATION_RUNNING_KERNEL_H_
