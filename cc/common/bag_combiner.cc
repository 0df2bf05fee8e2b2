#include "cc/common/bag_combiner.h"

#include <algorithm>
#include <cmath>

namespace tf_hps {
namespace {

float Divisor(const Bags& bags, size_t bag) {
  const int64_t begin = bags.splits[bag], end = bags.splits[bag + 1];
  float sum = 0;
  if (bags.weights == nullptr) {
    sum = static_cast<float>(end - begin);
  } else if (bags.combiner == Combiner::kMean) {
    for (int64_t i = begin; i < end; ++i) sum += bags.weights[i];
  } else {
    for (int64_t i = begin; i < end; ++i) sum += bags.weights[i] * bags.weights[i];
  }
  return bags.combiner == Combiner::kSqrtn ? std::sqrt(sum) : sum;
}

}  // namespace

BagCombiner::BagCombiner(const Bags& bags, size_t first, size_t last, int64_t embedding_dim,
                         ElementType type, uint8_t* results)
    : bags_(bags),
      bag_(first),
      last_(last),
      next_id_(first < last ? bags.splits[first] : 0),
      embedding_dim_(embedding_dim),
      add_rows_(SelectAddRows(SelectedCpuIsa())),
      write_row_(SelectDecodeRow(RowFormat::kFloat32, type, SelectedCpuIsa())),
      result_bytes_(embedding_dim * ElementBytes(type)),
      results_(results),
      sums_(embedding_dim) {}

void BagCombiner::Add(const float* rows, size_t n) {
  while (n > 0) {
    while (bags_.splits[bag_ + 1] == next_id_) Write();
    const size_t of_bag = std::min<size_t>(n, bags_.splits[bag_ + 1] - next_id_);
    const float* const weights = bags_.weights == nullptr ? nullptr : bags_.weights + next_id_;
    add_rows_(rows, weights, of_bag, embedding_dim_, sums_.data());
    rows += of_bag * embedding_dim_;
    n -= of_bag;
    next_id_ += of_bag;
  }
}

void BagCombiner::Finish() {
  while (bag_ < last_) Write();
}

void BagCombiner::Write() {
  if (bags_.combiner != Combiner::kSum) {
    const float divisor = Divisor(bags_, bag_);
    if (divisor == 0) {
      std::fill(sums_.begin(), sums_.end(), 0.0f);
    } else {
      for (float& sum : sums_) sum /= divisor;
    }
  }
  write_row_(reinterpret_cast<const uint8_t*>(sums_.data()), results_ + bag_ * result_bytes_,
             embedding_dim_);
  std::fill(sums_.begin(), sums_.end(), 0.0f);
  ++bag_;
}

}  // namespace tf_hps
