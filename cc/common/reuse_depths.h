#ifndef TF_HPS_CC_COMMON_REUSE_DEPTHS_H_
#define TF_HPS_CC_COMMON_REUSE_DEPTHS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/key.h"

namespace tf_hps {

// Of one lookup in a sequence.
struct ReuseDepth {
  uint32_t keys;  // how many other keys were asked for since this one was, or since the beginning
  bool is_first;  // this one was not asked for since the beginning
};

// Of each in the sequence; n log n (Bennett, Kruskal: "LRU stack processing", 1975).
std::vector<ReuseDepth> ReuseDepths(absl::Span<const Key> keys);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_REUSE_DEPTHS_H_
