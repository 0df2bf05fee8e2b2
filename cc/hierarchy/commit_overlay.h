#ifndef TF_HPS_CC_HIERARCHY_COMMIT_OVERLAY_H_
#define TF_HPS_CC_HIERARCHY_COMMIT_OVERLAY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"
#include "cc/update/update_batch.h"

namespace tf_hps {

class EmbeddingTable;

// The rows of a commit that is being shown, to be put over what the tables' tiers say: a lookup
// then sees all of the commit, however far the tiers are with it. Constant when made.
class CommitOverlay {
 public:
  // A commit above has none, and lookups wait while it is shown: rows are copied, since a lookup
  // may take longer than the commit's own memory is there.
  static constexpr size_t kMaxBytes = size_t{16} << 20;
  static bool Fits(const UpdateBatch& batch) {
    return batch.keys.size() * (batch.rows.row_bytes() + 64) + batch.erased.size() * 64 <=
           kMaxBytes;
  }

  void Add(const EmbeddingTable* table, const UpdateBatch& batch);

  // Puts the rows of those keys that the commit has, and the default row for what it erased.
  void Put(const EmbeddingTable* table, absl::Span<const Key> keys, const RowSink& sink) const;

 private:
  static constexpr uint32_t kNoKey = 0xffffffff, kErased = 0xfffffffe;
  struct Entry {
    Key key = 0;
    uint32_t row = kNoKey;
  };
  // Of one table: a hash table with linear probing, a third full at the most.
  struct Rows {
    std::vector<Entry> entries;
    std::vector<uint8_t> rows;
    size_t row_bytes = 0;

    Entry* Find(Key key);
    const Entry* Find(Key key) const { return const_cast<Rows*>(this)->Find(key); }
  };

  std::map<const EmbeddingTable*, Rows> tables_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_COMMIT_OVERLAY_H_
