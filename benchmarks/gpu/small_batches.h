#ifndef TF_HPS_BENCHMARKS_GPU_SMALL_BATCHES_H_
#define TF_HPS_BENCHMARKS_GPU_SMALL_BATCHES_H_

#include <algorithm>
#include <random>
#include <vector>

#include "cc/common/key.h"

namespace tf_hps {

constexpr size_t kBatch = 2000;
constexpr size_t kMisses = 320;  // 16 %
constexpr int64_t kDim = 128;
constexpr uint64_t kHot = uint64_t{1} << 20;  // resident: keys below

inline std::vector<Key> HotKeys(std::mt19937_64* random) {
  std::vector<Key> keys(kBatch);
  for (Key& key : keys) key = static_cast<Key>((*random)() % kHot);
  return keys;
}

// `misses` of them nobody asked for before; batch i of those that are asked one after the other.
inline std::vector<Key> KeysWithMisses(size_t i, size_t misses, std::mt19937_64* random) {
  std::vector<Key> keys = HotKeys(random);
  for (size_t m = 0; m < misses; ++m) keys[m] = static_cast<Key>(kHot + i * misses + m);
  std::shuffle(keys.begin(), keys.end(), *random);
  return keys;
}

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_SMALL_BATCHES_H_
