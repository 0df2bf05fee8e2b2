#ifndef TF_HPS_CC_HIERARCHY_MEMORY_SHARE_H_
#define TF_HPS_CC_HIERARCHY_MEMORY_SHARE_H_

#include <memory>
#include <vector>

#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {

// Generations of one table that are open side by side, while one version of a model takes over from
// another, have together the memory that one of them may have: EmbeddingTable::MemoryShare. Those
// without a bound share nothing.

// `table` is being opened: it has no rows in memory yet, and nobody asks it. Takes its part from
// `others`, which go on answering, a piece after the other, and fills it with the rows of the keys
// that these are asked for most, the hottest first.
void TakeMemoryShare(EmbeddingTable* table,
                     const std::vector<std::shared_ptr<EmbeddingTable>>& others);

// Another generation is gone: what it had goes to those that are left.
void GrowMemoryShares(const std::vector<std::shared_ptr<EmbeddingTable>>& left);

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_MEMORY_SHARE_H_
