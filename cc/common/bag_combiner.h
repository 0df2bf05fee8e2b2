#ifndef TF_HPS_CC_COMMON_BAG_COMBINER_H_
#define TF_HPS_CC_COMMON_BAG_COMBINER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/row_codec.h"
#include "cc/common/row_sum.h"

namespace tf_hps {

enum class Combiner : uint8_t {
  kSum,    // of weight * row
  kMean,   // the sum over the sum of the weights
  kSqrtn,  // the sum over the root of the sum of the squared weights
};

// The bags of a batch of ids: bag b has the ids [splits[b], splits[b + 1]).
struct Bags {
  absl::Span<const int64_t> splits;
  const float* weights = nullptr;  // one an id; null: all 1
  Combiner combiner = Combiner::kSum;

  size_t size() const { return splits.empty() ? 0 : splits.size() - 1; }
};

// Adds up the rows of consecutive bags as they come, id by id, and writes each bag's result. Sums
// are float32 whatever is written. Bags without ids, and those whose weights are 0 altogether where
// they are divided by, give zeros, as tf.nn.embedding_lookup_sparse does. Copyable in the middle.
class BagCombiner {
 public:
  // Bags [first, last). Bag b goes to `results` + b * embedding_dim elements of `type`. What `bags`
  // points to must outlive this.
  BagCombiner(const Bags& bags, size_t first, size_t last, int64_t embedding_dim, ElementType type,
              uint8_t* results);

  // The next n ids' rows, embedding_dim float32 each.
  void Add(const float* rows, size_t n);
  // Once, after all ids' rows.
  void Finish();

 private:
  void Write();  // the bag under way; the next one begins

  Bags bags_;
  size_t bag_;
  size_t last_;
  int64_t next_id_;
  int64_t embedding_dim_;
  AddRows add_rows_;
  DecodeRow write_row_;
  size_t result_bytes_;
  uint8_t* results_;
  std::vector<float> sums_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_BAG_COMBINER_H_
