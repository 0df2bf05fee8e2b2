#ifndef TF_HPS_CC_HIERARCHY_UNIQUE_KEYS_H_
#define TF_HPS_CC_HIERARCHY_UNIQUE_KEYS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"

namespace tf_hps {

// The distinct keys at a batch's pending positions, ascending: a disk is asked once for each, and
// in its own order. index(i) says which of them pending position i wants.
class UniqueKeys {
 public:
  UniqueKeys(absl::Span<const Key> keys, const Pending& pending);

  absl::Span<const Key> keys() const { return unique_; }
  size_t size() const { return unique_.size(); }
  uint32_t index(size_t i) const { return index_[i]; }

 private:
  std::vector<Key> unique_;
  std::vector<uint32_t> index_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_UNIQUE_KEYS_H_
