// Device code: rows as one tile of lanes copies and decodes them.
#ifndef TF_HPS_CC_CACHE_CUDA_ROW_COPY_H_
#define TF_HPS_CC_CACHE_CUDA_ROW_COPY_H_

#include <cuda_runtime.h>

#include "cc/cache/cuda_cache_ref.h"
#include "cc/common/half_conversions.h"

namespace tf_hps {
namespace {

// Eight lanes: they read a set's line with 16 bytes each, and a row of 32 float32 likewise.
constexpr unsigned kTileLanes = 8;
constexpr unsigned kTilesPerWarp = 32 / kTileLanes;
constexpr unsigned kWholeWarp = 0xffffffffu;

struct Tile {
  unsigned lane;  // in the tile
  unsigned base;  // the tile's first lane in the warp
  unsigned mask;
};

__device__ inline Tile ThisTile() {
  const unsigned lane = threadIdx.x % 32;
  const unsigned base = lane / kTileLanes * kTileLanes;
  return {lane - base, base, ((1u << kTileLanes) - 1) << base};
}

template <class Word>
__device__ inline void CopyWords(const unsigned char* from, unsigned char* to, uint32_t bytes,
                                 unsigned lane) {
  const uint32_t words = bytes / sizeof(Word);
  const Word* const source = reinterpret_cast<const Word*>(from);
  Word* const destination = reinterpret_cast<Word*>(to);
  uint32_t i = lane;
  for (; i + 3 * kTileLanes < words; i += 4 * kTileLanes) {  // four reads under way
    const Word a = __ldcg(source + i);
    const Word b = __ldcg(source + i + kTileLanes);
    const Word c = __ldcg(source + i + 2 * kTileLanes);
    const Word d = __ldcg(source + i + 3 * kTileLanes);
    __stcg(destination + i, a);
    __stcg(destination + i + kTileLanes, b);
    __stcg(destination + i + 2 * kTileLanes, c);
    __stcg(destination + i + 3 * kTileLanes, d);
  }
  for (; i < words; i += kTileLanes) __stcg(destination + i, __ldcg(source + i));
}

__device__ inline float FloatFromBits16(RowFormat format, unsigned bits) {
  return format == RowFormat::kFloat16 ? FloatFromHalf(static_cast<uint16_t>(bits))
                                       : FloatFromBfloat16(static_cast<uint16_t>(bits));
}

// Divides, as the CPU's codec does: multiplying by 1 / scale rounds differently.
__device__ inline float FloatFromInt8(unsigned bits, float scale) {
  return __fdiv_rn(static_cast<float>(static_cast<signed char>(bits & 0xff)), scale);
}

// Elements [i * N, i * N + N) of a stored row. N is 1 or 4; for 4 the row is aligned to 16 bytes.
template <int N>
__device__ inline void LoadElements(RowFormat format, const unsigned char* row, uint32_t i,
                                    float* x) {
  if (format == RowFormat::kFloat32) {
    if (N == 4) {
      const uint4 v = __ldcg(reinterpret_cast<const uint4*>(row) + i);
      x[0] = FloatFromBits(v.x);
      x[N - 3 > 0 ? 1 : 0] = FloatFromBits(v.y);
      x[N - 2 > 0 ? 2 : 0] = FloatFromBits(v.z);
      x[N - 1] = FloatFromBits(v.w);
    } else {
      x[0] = FloatFromBits(__ldcg(reinterpret_cast<const unsigned*>(row) + i));
    }
  } else if (format == RowFormat::kInt8) {
    const float scale = FloatFromBits(__ldcg(reinterpret_cast<const unsigned*>(row)));
    const unsigned bits =
        N == 4 ? __ldcg(reinterpret_cast<const unsigned*>(row + 4) + i) : __ldcg(row + 4 + i);
    for (int e = 0; e < N; ++e) x[e] = FloatFromInt8(bits >> 8 * e, scale);
  } else if (N == 4) {
    const uint2 v = __ldcg(reinterpret_cast<const uint2*>(row) + i);
    for (int e = 0; e < N; ++e) {
      x[e] = FloatFromBits16(format, (e < 2 ? v.x : v.y) >> 16 * (e % 2) & 0xffff);
    }
  } else {
    x[0] = FloatFromBits16(format, __ldcg(reinterpret_cast<const unsigned short*>(row) + i));
  }
}

__device__ inline unsigned Bits16FromFloat(ElementType type, float x) {
  return type == ElementType::kFloat16 ? HalfFromFloat(x) : Bfloat16FromFloat(x);
}

template <int N>
__device__ inline void StoreElements(ElementType type, const float* x, unsigned char* out,
                                     uint32_t i) {
  if (type == ElementType::kFloat32) {
    if (N == 4) {
      const uint4 v = {FloatBits(x[0]), FloatBits(x[N / 4]), FloatBits(x[N / 2]),
                       FloatBits(x[N - 1])};
      __stcg(reinterpret_cast<uint4*>(out) + i, v);
    } else {
      __stcg(reinterpret_cast<unsigned*>(out) + i, FloatBits(x[0]));
    }
  } else if (N == 4) {
    const uint2 v = {Bits16FromFloat(type, x[0]) | Bits16FromFloat(type, x[N / 4]) << 16,
                     Bits16FromFloat(type, x[N / 2]) | Bits16FromFloat(type, x[N - 1]) << 16};
    __stcg(reinterpret_cast<uint2*>(out) + i, v);
  } else {
    __stcg(reinterpret_cast<unsigned short*>(out) + i,
           static_cast<unsigned short>(Bits16FromFloat(type, x[0])));
  }
}

template <int N>
__device__ inline void DecodeElements(const CacheRef& cache, const unsigned char* row,
                                      ElementType type, unsigned char* out, unsigned lane) {
  for (uint32_t i = lane; i < cache.embedding_dim / N; i += kTileLanes) {
    float x[N];
    LoadElements<N>(cache.format, row, i, x);
    StoreElements<N>(type, x, out, i);
  }
}

__device__ inline void CopyBytes(const unsigned char* from, unsigned char* to, uint32_t bytes,
                                 uint32_t width, unsigned lane) {
  if (width == 16) {
    CopyWords<uint4>(from, to, bytes, lane);
  } else if (width == 4) {
    CopyWords<unsigned>(from, to, bytes, lane);
  } else {
    CopyWords<unsigned short>(from, to, bytes, lane);
  }
}

// A stored row to a position of the output.
__device__ inline void PutRow(const CacheRef& cache, const unsigned char* row,
                              const CacheOutput& out, uint32_t position, unsigned lane) {
  unsigned char* const to = out.rows + static_cast<uint64_t>(position) * out.row_bytes;
  if (out.copy_width != 0) {
    CopyBytes(row, to, out.row_bytes, out.copy_width, lane);
  } else if (out.by_fours) {
    DecodeElements<4>(cache, row, out.type, to, lane);
  } else {
    DecodeElements<1>(cache, row, out.type, to, lane);
  }
}

// The default row is in the output's type and comes with any alignment that type has.
__device__ inline void PutDefaultRow(const CacheOutput& out, uint32_t position, uint32_t bucket,
                                     unsigned lane) {
  unsigned char* const to = out.rows + static_cast<uint64_t>(position) * out.row_bytes;
  const unsigned char* const from = out.default_row + static_cast<uint64_t>(bucket) * out.row_bytes;
  CopyBytes(from, to, out.row_bytes, out.type == ElementType::kFloat32 ? 4 : 2, lane);
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_CUDA_ROW_COPY_H_
