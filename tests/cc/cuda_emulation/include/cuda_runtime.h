// The part of CUDA's device language that the kernels use, as plain C++. See ../README.md.
#ifndef TF_HPS_TESTS_CC_CUDA_EMULATION_CUDA_RUNTIME_H_
#define TF_HPS_TESTS_CC_CUDA_EMULATION_CUDA_RUNTIME_H_

#include <cmath>
#include <cstring>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(threads)

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};

namespace cuda_emulation {

struct LaneIndex {
  dim3 thread, block, block_dim, grid_dim;
};
const LaneIndex& ThisLane();

// Another lane, block or stream may go on here.
void MayYield();
void AlwaysYield();
// Ends the process unless `bytes` at an address aligned to them are device or pinned memory,
// written before they are read.
void CheckRead(const void* from, size_t bytes);
void CheckWrite(void* to, size_t bytes);

enum class Collective { kSync, kBallot, kShuffle };
// Waits for all lanes of the mask to come with the same collective and mask. `source`: lane of the
// warp whose value is returned by a shuffle.
uint64_t Meet(Collective collective, unsigned mask, uint64_t value, unsigned source);

template <class T>
T Read(const T* from) {
  MayYield();
  CheckRead(from, sizeof(T));
  return *from;
}
template <class T>
void Write(T* to, T value) {
  MayYield();
  CheckWrite(to, sizeof(T));
  *to = value;
}
template <class T, class Change>
T Atomically(T* at, Change change) {
  MayYield();
  CheckRead(at, sizeof(T));
  CheckWrite(at, sizeof(T));
  const T before = *at;
  *at = change(before);
  MayYield();
  return before;
}

}  // namespace cuda_emulation

struct CudaEmulationIndex {
  struct Part {
    unsigned (*get)();
    operator unsigned() const { return get(); }
  } x;
};
inline const CudaEmulationIndex threadIdx = {{[] { return cuda_emulation::ThisLane().thread.x; }}};
inline const CudaEmulationIndex blockIdx = {{[] { return cuda_emulation::ThisLane().block.x; }}};
inline const CudaEmulationIndex blockDim = {
    {[] { return cuda_emulation::ThisLane().block_dim.x; }}};
inline const CudaEmulationIndex gridDim = {{[] { return cuda_emulation::ThisLane().grid_dim.x; }}};

template <class T>
T __ldg(const T* from) {
  return cuda_emulation::Read(from);
}
template <class T>
T __ldcg(const T* from) {
  return cuda_emulation::Read(from);
}
template <class T>
void __stcg(T* to, T value) {
  cuda_emulation::Write(to, value);
}

template <class T>
T atomicAdd(T* at, T n) {
  return cuda_emulation::Atomically(at, [n](T x) { return x + n; });
}
inline unsigned atomicAdd(unsigned* at, int n) { return atomicAdd(at, static_cast<unsigned>(n)); }
template <class T>
T atomicOr(T* at, T bits) {
  return cuda_emulation::Atomically(at, [bits](T x) { return x | bits; });
}
template <class T>
T atomicAnd(T* at, T bits) {
  return cuda_emulation::Atomically(at, [bits](T x) { return x & bits; });
}
template <class T>
T atomicExch(T* at, T value) {
  return cuda_emulation::Atomically(at, [value](T) { return value; });
}

inline void __syncwarp(unsigned mask) {
  cuda_emulation::Meet(cuda_emulation::Collective::kSync, mask, 0, 0);
}
inline unsigned __ballot_sync(unsigned mask, bool vote) {
  return static_cast<unsigned>(
      cuda_emulation::Meet(cuda_emulation::Collective::kBallot, mask, vote, 0));
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const unsigned lane = threadIdx.x % 32;
  const unsigned from = lane / width * width + static_cast<unsigned>(source) % width;
  bits = cuda_emulation::Meet(cuda_emulation::Collective::kShuffle, mask, bits, from);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// Memory is sequentially consistent here: a fence that is missing does not show.
inline void __threadfence() { cuda_emulation::MayYield(); }
inline void __nanosleep(unsigned) { cuda_emulation::AlwaysYield(); }

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }

#endif  // TF_HPS_TESTS_CC_CUDA_EMULATION_CUDA_RUNTIME_H_
