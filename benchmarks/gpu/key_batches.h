#ifndef TF_HPS_BENCHMARKS_GPU_KEY_BATCHES_H_
#define TF_HPS_BENCHMARKS_GPU_KEY_BATCHES_H_

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "cc/common/key.h"

namespace tf_hps {

// Keys in [0, rows), rows a power of two.
inline std::vector<Key> UniformKeys(uint64_t rows, size_t n) {
  std::mt19937_64 random(42);
  std::vector<Key> keys(n);
  for (Key& key : keys) key = static_cast<Key>(random() % rows);
  return keys;
}

// Rank k is asked for in proportion to 1 / (k + 1) ** 1.05; ranks are scattered over the keys,
// since hot rows are no neighbours in a table.
class ZipfKeys {
 public:
  explicit ZipfKeys(uint64_t rows) : below_(rows) {
    double sum = 0;
    for (uint64_t k = 0; k < rows; ++k) below_[k] = sum += std::pow(k + 1.0, -1.05);
  }
  std::vector<Key> Batch(size_t n) {
    std::vector<Key> keys(n);
    for (Key& key : keys) {
      const double at = static_cast<double>(random_() >> 11) * 0x1p-53 * below_.back();
      const uint64_t rank = std::upper_bound(below_.begin(), below_.end(), at) - below_.begin();
      key = static_cast<Key>(rank * 0x9e3779b97f4a7c15u & (below_.size() - 1));
    }
    return keys;
  }

 private:
  std::vector<double> below_;
  std::mt19937_64 random_{42};
};

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_KEY_BATCHES_H_
