#include "cc/hierarchy/unique_keys.h"

#include <algorithm>
#include <utility>

namespace tf_hps {

UniqueKeys::UniqueKeys(absl::Span<const Key> keys, const Pending& pending)
    : index_(pending.size()) {
  std::vector<std::pair<Key, uint32_t>> wanted;
  wanted.reserve(pending.size());
  for (uint32_t i = 0; i < pending.size(); ++i) wanted.emplace_back(keys[pending[i]], i);
  std::sort(wanted.begin(), wanted.end());
  for (const auto& [key, i] : wanted) {
    if (unique_.empty() || unique_.back() != key) unique_.push_back(key);
    index_[i] = static_cast<uint32_t>(unique_.size() - 1);
  }
}

}  // namespace tf_hps
