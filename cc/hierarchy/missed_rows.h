#ifndef TF_HPS_CC_HIERARCHY_MISSED_ROWS_H_
#define TF_HPS_CC_HIERARCHY_MISSED_ROWS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/cache/embedding_cache.h"
#include "cc/common/key.h"
#include "cc/common/update_stamps.h"

namespace tf_hps {

class EmbeddingTable;

// The rows of keys that a device's cache missed, as the tiers below have them.
class MissedRows {
 public:
  // Keys as they were missed, repeated ones too.
  explicit MissedRows(absl::Span<const Key> missed);

  // Asks the table's tiers; may wait for the stores.
  absl::Status Fetch(EmbeddingTable* table);

  absl::Span<const Key> keys() const { return keys_; }  // each once
  // What Fetch brought, to be kept; holds no longer than this.
  CacheFill ToKeep() const;
  // And written too: miss i of the constructor's keys goes to out's positions[i].
  CacheFill ToWrite(const CacheRows* out, absl::Span<const uint32_t> positions) const;

 private:
  std::vector<Key> keys_;
  std::vector<uint32_t> key_of_miss_;
  size_t row_bytes_ = 0;
  size_t stride_ = 0;
  std::vector<uint8_t> rows_;  // a row and the byte that says whether it was found
  std::vector<uint8_t> found_;
  std::unique_ptr<StampsRead> stamps_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_MISSED_ROWS_H_
