#ifndef TF_HPS_BENCHMARKS_GPU_RESIDENT_ROWS_H_
#define TF_HPS_BENCHMARKS_GPU_RESIDENT_ROWS_H_

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "benchmarks/gpu/device.h"
#include "cc/common/half_conversions.h"

namespace tf_hps {

// Every element of a key's row is key % 2048, which float16 holds exactly.
constexpr uint32_t kPatternRows = 2048;

// `rows` rows, those of keys 0, 1, 2 and on.
inline std::vector<uint8_t> PatternRows(int64_t embedding_dim, RowFormat format, size_t rows) {
  const size_t row_bytes = RowBytes(format, embedding_dim);
  std::vector<uint8_t> bytes(rows * row_bytes);
  for (size_t r = 0; r < rows; ++r) {
    const float value = static_cast<float>(r % kPatternRows);
    for (int64_t e = 0; e < embedding_dim; ++e) {
      if (format == RowFormat::kFloat32) {
        reinterpret_cast<float*>(bytes.data() + r * row_bytes)[e] = value;
      } else {
        reinterpret_cast<uint16_t*>(bytes.data() + r * row_bytes)[e] = HalfFromFloat(value);
      }
    }
  }
  return bytes;
}

inline float FirstElement(const uint8_t* row, ElementType type) {
  return type == ElementType::kFloat32 ? *reinterpret_cast<const float*>(row)
                                       : FloatFromHalf(*reinterpret_cast<const uint16_t*>(row));
}

// Keys 0 to rows - 1, a multiple of 2048, into the cache.
inline void FillRows(EmbeddingCache* cache, const CacheOptions& options, uint64_t rows,
                     Device* device) {
  const size_t block = std::min<uint64_t>(rows, size_t{1} << 18);
  const std::vector<uint8_t> bytes = PatternRows(options.embedding_dim, options.row_format, block);
  const UpdateStamps stamps;
  std::vector<Key> keys(block);
  for (uint64_t first = 0; first < rows; first += block) {
    std::iota(keys.begin(), keys.end(), static_cast<Key>(first));
    const StampsRead read(&stamps, keys);
    CacheFill fill;
    fill.keys = keys;
    fill.rows = RowsView(bytes.data(), RowBytes(options.row_format, options.embedding_dim));
    fill.stamps = &read;
    Check(cache->Fill(fill, &device->memory, device->stream));
  }
  device->Wait();
}

// Pins memory for the misses of as many lookups under way at once, and gives each its counters: a
// graph that allocates them itself cannot be launched twice.
inline void PrepareLookups(EmbeddingCache* cache, const CacheBatch& largest, size_t count,
                           Device* device) {
  std::vector<std::unique_ptr<CacheLookup>> lookups;
  for (size_t i = 0; i < count; ++i) {
    lookups.push_back(Value(cache->Lookup(largest, device->stream)));
  }
  device->Wait();
}

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_RESIDENT_ROWS_H_
