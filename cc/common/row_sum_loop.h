// Included by row_sum*.cc only: everything here has internal linkage, so that each file keeps its
// own copy, compiled with its own vector flags.
#ifndef TF_HPS_CC_COMMON_ROW_SUM_LOOP_H_
#define TF_HPS_CC_COMMON_ROW_SUM_LOOP_H_

#include "cc/common/row_sum.h"

namespace tf_hps {
namespace {

template <class Floats>
Floats LoadFloats(const float* from) {
  Floats floats;
  __builtin_memcpy(&floats, from, sizeof(floats));
  return floats;
}

// kVectors columns of sums stay in registers while all rows go by: a sum that went through memory
// for every row would wait for its own store.
template <class Floats, int kVectors, bool kWeighted>
void AddColumns(const float* rows, const float* weights, size_t n, int64_t embedding_dim,
                float* sums) {
  constexpr int kWidth = sizeof(Floats) / sizeof(float);
  Floats sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = LoadFloats<Floats>(sums + v * kWidth);
  for (size_t i = 0; i < n; ++i, rows += embedding_dim) {
    for (int v = 0; v < kVectors; ++v) {
      const Floats row = LoadFloats<Floats>(rows + v * kWidth);
      sum[v] += kWeighted ? row * weights[i] : row;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    __builtin_memcpy(sums + v * kWidth, &sum[v], sizeof(Floats));
  }
}

template <class Floats, bool kWeighted>
void AddAllColumns(const float* rows, const float* weights, size_t n, int64_t embedding_dim,
                   float* sums) {
  constexpr int kWidth = sizeof(Floats) / sizeof(float);
  int64_t j = 0;
  for (; j + 4 * kWidth <= embedding_dim; j += 4 * kWidth) {
    AddColumns<Floats, 4, kWeighted>(rows + j, weights, n, embedding_dim, sums + j);
  }
  for (; j + kWidth <= embedding_dim; j += kWidth) {
    AddColumns<Floats, 1, kWeighted>(rows + j, weights, n, embedding_dim, sums + j);
  }
  for (; j < embedding_dim; ++j) {
    AddColumns<float, 1, kWeighted>(rows + j, weights, n, embedding_dim, sums + j);
  }
}

// Floats: a GCC vector of floats.
template <class Floats>
void AddRowsWith(const float* rows, const float* weights, size_t n, int64_t embedding_dim,
                 float* sums) {
  if (weights == nullptr) {
    AddAllColumns<Floats, false>(rows, weights, n, embedding_dim, sums);
  } else {
    AddAllColumns<Floats, true>(rows, weights, n, embedding_dim, sums);
  }
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_SUM_LOOP_H_
