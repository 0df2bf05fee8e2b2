#include <cuda_runtime.h>

#include "benchmarks/gpu/plain_kernels.h"

namespace tf_hps {
namespace {

constexpr unsigned kThreads = 256;

__device__ uint64_t FirstWord() {
  return static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ uint64_t WordsInGrid() { return static_cast<uint64_t>(gridDim.x) * blockDim.x; }

__global__ void Copy(const uint4* from, uint4* to, uint64_t words) {
  for (uint64_t i = FirstWord(); i < words; i += WordsInGrid()) __stcg(to + i, __ldcg(from + i));
}

// A thread a word of 16 bytes, neighbours on one row.
__global__ void Gather(const uint4* table, const int64_t* indices, uint64_t words,
                       uint32_t row_words, uint4* out) {
  for (uint64_t i = FirstWord(); i < words; i += WordsInGrid()) {
    const uint32_t p = static_cast<uint32_t>(i / row_words);
    const int64_t row = __ldg(reinterpret_cast<const long long*>(indices) + p);
    __stcg(out + i, __ldcg(table + row * row_words + i % row_words));
  }
}

__global__ void Repeat(const uint4* pattern, uint64_t pattern_words, uint64_t words, uint4* table) {
  for (uint64_t i = FirstWord(); i < words; i += WordsInGrid()) {
    __stcg(table + i, __ldcg(pattern + i % pattern_words));
  }
}

// A thread a word, up to what the grid's first dimension holds; the kernels loop over the rest.
cudaLaunchConfig_t GridOf(uint64_t words, cudaStream_t stream) {
  const uint64_t blocks = (words + kThreads - 1) / kThreads;
  constexpr uint64_t kMostBlocks = uint64_t{1} << 20;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks));
  config.blockDim = dim3(kThreads);
  config.stream = stream;
  return config;
}

}  // namespace

cudaError_t LaunchPlainCopy(const void* from, void* to, uint64_t bytes, cudaStream_t stream) {
  const uint64_t words = bytes / sizeof(uint4);
  const cudaLaunchConfig_t config = GridOf(words, stream);
  return cudaLaunchKernelEx(&config, Copy, static_cast<const uint4*>(from), static_cast<uint4*>(to),
                            words);
}

cudaError_t LaunchPlainGather(const void* table, const int64_t* indices, uint32_t n,
                              uint32_t row_bytes, void* out, cudaStream_t stream) {
  const uint32_t row_words = row_bytes / sizeof(uint4);
  const uint64_t words = static_cast<uint64_t>(n) * row_words;
  const cudaLaunchConfig_t config = GridOf(words, stream);
  return cudaLaunchKernelEx(&config, Gather, static_cast<const uint4*>(table), indices, words,
                            row_words, static_cast<uint4*>(out));
}

cudaError_t LaunchRepeatRows(const void* pattern, uint32_t pattern_rows, uint32_t row_bytes,
                             uint64_t rows, void* table, cudaStream_t stream) {
  const uint64_t row_words = row_bytes / sizeof(uint4);
  const cudaLaunchConfig_t config = GridOf(rows * row_words, stream);
  return cudaLaunchKernelEx(&config, Repeat, static_cast<const uint4*>(pattern),
                            pattern_rows * row_words, rows * row_words, static_cast<uint4*>(table));
}

}  // namespace tf_hps
