#ifndef TF_HPS_BENCHMARKS_CC_ZIPF_STREAM_H_
#define TF_HPS_BENCHMARKS_CC_ZIPF_STREAM_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "cc/common/key.h"

namespace tf_hps {

// Keys with zipf popularities. Which key has which rank is random, and may go on changing.
class ZipfStream {
 public:
  ZipfStream(int64_t rows, double exponent) : up_to_(rows), by_rank_(rows) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      up_to_[r] = sum += std::pow(static_cast<double>(r + 1), -exponent);
    }
    for (double& up_to : up_to_) up_to /= sum;
    std::iota(by_rank_.begin(), by_rank_.end(), 0);
    std::shuffle(by_rank_.begin(), by_rank_.end(), random_);
  }

  Key Next() {
    const double u = uniform_(random_);
    const auto rank = std::lower_bound(up_to_.begin(), up_to_.end(), u) - up_to_.begin();
    return by_rank_[std::min<size_t>(rank, by_rank_.size() - 1)];
  }
  // Some popular keys become unpopular, and the other way round.
  void Move(int64_t keys) {
    const size_t popular = by_rank_.size() / 10;
    for (int64_t i = 0; i < keys; ++i) {
      std::swap(by_rank_[random_() % popular], by_rank_[random_() % by_rank_.size()]);
    }
  }
  // All popular keys become unpopular: every rank is another key's.
  void Reverse() { std::reverse(by_rank_.begin(), by_rank_.end()); }
  double ShareOfFirst(int64_t rows) const { return up_to_[rows - 1]; }

 private:
  std::mt19937_64 random_{1};
  std::uniform_real_distribution<double> uniform_{0, 1};
  std::vector<double> up_to_;
  std::vector<Key> by_rank_;
};

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_CC_ZIPF_STREAM_H_
