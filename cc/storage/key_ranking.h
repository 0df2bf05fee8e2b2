#ifndef TF_HPS_CC_STORAGE_KEY_RANKING_H_
#define TF_HPS_CC_STORAGE_KEY_RANKING_H_

#include <cstddef>
#include <vector>

#include "cc/common/key.h"
#include "cc/storage/eviction_policy.h"
#include "cc/storage/key_index.h"

namespace tf_hps {

// Up to `n` keys of the index, the hottest first; as they come where there are no counters. Rows
// may be used and written meanwhile: a key that changes its place may be left out, or come twice.
std::vector<Key> HottestKeys(KeyIndex* index, const EvictionPolicy& eviction, size_t n);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_KEY_RANKING_H_
