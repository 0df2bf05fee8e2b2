#include "tests/cc/cuda_emulation/running_kernel.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tests/cc/cuda_emulation/device_memory.h"
#include "tests/cc/cuda_emulation/scheduler.h"

namespace cuda_emulation {

RunningKernel* current_kernel = nullptr;

RunningKernel::RunningKernel(const cudaLaunchConfig_t& config, std::function<void()> lane)
    : config_(config), run_(std::move(lane)), blocks_left_(config.gridDim.x) {
  for (unsigned b = 0; b < blocks_left_.size(); ++b) blocks_left_[b] = b;
  for (size_t b = blocks_left_.size(); b > 1; --b) {
    std::swap(blocks_left_[b - 1], blocks_left_[Random(b)]);
  }
}

void RunningKernel::StartBlock() {
  const unsigned block = blocks_left_.back();
  blocks_left_.pop_back();
  for (unsigned first = 0; first < config_.blockDim.x; first += 32) {
    auto warp = std::make_unique<Warp>();
    warp->lanes.resize(32);
    for (unsigned l = 0; l < 32; ++l) {
      Lane& lane = warp->lanes[l];
      lane.fiber = std::make_unique<Fiber>(run_);
      lane.index = {dim3(first + l), dim3(block), config_.blockDim, config_.gridDim};
    }
    warps_.push_back(std::move(warp));
  }
}

bool RunningKernel::Step() {
  if (!blocks_left_.empty() && (warps_.empty() || Random(64) == 0)) StartBlock();
  const size_t start = Random(warps_.size());
  for (size_t w = 0; w < warps_.size(); ++w) {
    const size_t at = (start + w) % warps_.size();
    Warp& warp = *warps_[at];
    const unsigned first = static_cast<unsigned>(Random(32));
    for (unsigned l = 0; l < 32; ++l) {
      Lane& lane = warp.lanes[(first + l) % 32];
      if (lane.waits || lane.fiber->done()) continue;
      warp_ = &warp;
      lane_ = &lane;
      current_kernel = this;
      lane.fiber->Resume();
      current_kernel = nullptr;
      const auto is_done = [](const Lane& some) { return some.fiber->done(); };
      if (std::all_of(warp.lanes.begin(), warp.lanes.end(), is_done)) {
        warps_.erase(warps_.begin() + static_cast<std::ptrdiff_t>(at));
      }
      return true;
    }
  }
  if (blocks_left_.empty()) return false;
  StartBlock();
  return true;
}

uint64_t RunningKernel::Meet(Collective collective, unsigned mask, uint64_t value,
                             unsigned source) {
  Lane* const lane = lane_;
  Warp* const warp = warp_;
  const unsigned me = static_cast<unsigned>(lane - warp->lanes.data());
  if ((mask >> me & 1) == 0) {
    Fail("lane " + std::to_string(me) + " is not in the mask of its own collective");
  }
  if (collective == Collective::kShuffle && (mask >> source & 1) == 0) {
    Fail("a shuffle reads lane " + std::to_string(source) + ", which is not in its mask");
  }
  lane->waits = true;
  lane->collective = collective;
  lane->mask = mask;
  lane->value = value;
  lane->source = source;
  bool all = true;
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const Lane& other = warp->lanes[l];
    if (other.fiber->done()) {
      Fail("a collective waits for lane " + std::to_string(l) + ", which has ended");
    }
    if (other.waits && (other.mask != mask || other.collective != collective) &&
        (other.mask >> me & 1) != 0) {
      Fail("lanes " + std::to_string(me) + " and " + std::to_string(l) +
           " wait for each other in different collectives");
    }
    all = all && other.waits && other.mask == mask && other.collective == collective;
  }
  if (all) Complete(warp, mask);
  Fiber::Yield();
  return lane->result;
}

void RunningKernel::Complete(Warp* warp, unsigned mask) {
  uint64_t ballot = 0;
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1) != 0 && warp->lanes[l].value != 0) ballot |= uint64_t{1} << l;
  }
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1) == 0) continue;
    Lane& lane = warp->lanes[l];
    lane.waits = false;
    lane.result = lane.collective == Collective::kShuffle ? warp->lanes[lane.source].value : ballot;
  }
}

const LaneIndex& ThisLane() { return current_kernel->index(); }
uint64_t Meet(Collective collective, unsigned mask, uint64_t value, unsigned source) {
  return current_kernel->Meet(collective, mask, value, source);
}
void AlwaysYield() { Fiber::Yield(); }
void MayYield() {
  if (Random(16) == 0) Fiber::Yield();
}

}  // namespace cuda_emulation
