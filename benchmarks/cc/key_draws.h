#ifndef TF_HPS_BENCHMARKS_CC_KEY_DRAWS_H_
#define TF_HPS_BENCHMARKS_CC_KEY_DRAWS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "cc/common/key.h"

namespace tf_hps {

// n keys in [0, rows).
inline std::vector<Key> UniformKeys(int64_t rows, size_t n, std::mt19937_64* random) {
  std::vector<Key> keys(n);
  for (Key& key : keys) key = static_cast<Key>((*random)() % static_cast<uint64_t>(rows));
  return keys;
}

// Rank r with probability proportional to r^-1.05; which key has which rank is random.
inline std::vector<Key> ZipfKeys(int64_t rows, size_t n, std::mt19937_64* random) {
  std::vector<double> up_to(rows);
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) up_to[r] = sum += std::pow(static_cast<double>(r + 1), -1.05);
  std::vector<Key> by_rank(rows);
  std::iota(by_rank.begin(), by_rank.end(), 0);
  std::shuffle(by_rank.begin(), by_rank.end(), *random);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<Key> keys(n);
  for (Key& key : keys) {
    key = by_rank[std::lower_bound(up_to.begin(), up_to.end(), uniform(*random)) - up_to.begin()];
  }
  return keys;
}

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_CC_KEY_DRAWS_H_
