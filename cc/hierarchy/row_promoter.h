#ifndef TF_HPS_CC_HIERARCHY_ROW_PROMOTER_H_
#define TF_HPS_CC_HIERARCHY_ROW_PROMOTER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cc/common/counter.h"
#include "cc/common/mutex.h"
#include "cc/common/rows.h"
#include "cc/common/update_stamps.h"
#include "cc/storage/embedding_store.h"

namespace tf_hps {

// What a lookup learned from a lower tier, for the stores above it.
struct PromotionBatch {
  std::vector<std::shared_ptr<EmbeddingStore>> destinations;
  RowBlock found;
  std::vector<Key> absent;
  // Of found.keys and absent, read before the source tier was asked.
  std::unique_ptr<StampsRead> found_stamps;
  std::unique_ptr<StampsRead> absent_stamps;
};

// Carries one table's rows upward in the background, so that a lookup never waits for an insert.
// When rows come faster than they can be stored, batches are dropped and counted: a later lookup
// brings them again.
class RowPromoter {
 public:
  explicit RowPromoter(size_t row_bytes) : row_bytes_(row_bytes) {}
  ~RowPromoter() { Wait(); }

  void Promote(PromotionBatch batch);
  // Until everything queued so far was stored or dropped.
  void Wait() const;

  int64_t rows_promoted() const { return rows_promoted_.Get(); }
  int64_t rows_dropped() const { return rows_dropped_.Get(); }
  int64_t queued_bytes() const;

 private:
  void Store(const PromotionBatch& batch);

  const size_t row_bytes_;
  Counter rows_promoted_, rows_dropped_;
  mutable Mutex mutex_;
  mutable CondVar batch_done_;
  int64_t queued_batches_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_ROW_PROMOTER_H_
