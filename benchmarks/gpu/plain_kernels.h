#ifndef TF_HPS_BENCHMARKS_GPU_PLAIN_KERNELS_H_
#define TF_HPS_BENCHMARKS_GPU_PLAIN_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

// What the cache is measured against. Row bytes are a multiple of 16.
namespace tf_hps {

cudaError_t LaunchPlainCopy(const void* from, void* to, uint64_t bytes, cudaStream_t stream);
// Row p of the output is row indices[p] of a dense table: no key is searched.
cudaError_t LaunchPlainGather(const void* table, const int64_t* indices, uint32_t n,
                              uint32_t row_bytes, void* out, cudaStream_t stream);
// Row r of the table repeats row r % pattern_rows of the pattern.
cudaError_t LaunchRepeatRows(const void* pattern, uint32_t pattern_rows, uint32_t row_bytes,
                             uint64_t rows, void* table, cudaStream_t stream);

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_PLAIN_KERNELS_H_
