#ifndef TF_HPS_CC_HIERARCHY_STORE_PRELOADER_H_
#define TF_HPS_CC_HIERARCHY_STORE_PRELOADER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/mutex.h"
#include "cc/common/table_spec.h"
#include "cc/common/update_stamps.h"
#include "cc/storage/embedding_store.h"

namespace tf_hps {

// Fills a memory store from the store below it: all rows, or as many as fit. Runs in threads of its
// own from construction on; lookups, updates and promotions go on meanwhile. Marks the upper store
// complete when every row went in, and while no update (which may have taken rows out) holds
// `apply_mutex`.
class StorePreloader {
 public:
  StorePreloader(const TableSpec& spec, std::shared_ptr<EmbeddingStore> lower,
                 std::shared_ptr<EmbeddingStore> upper, const UpdateStamps* stamps,
                 Mutex* apply_mutex, bool yields = false);
  ~StorePreloader();  // stops early

  // Until it is over; the first error, if any. An error leaves the upper store usable and
  // incomplete.
  absl::Status Wait() const;
  bool done() const;
  // Whether the upper store was marked complete, be it so still or not.
  bool was_completed() const { return was_completed_.load(std::memory_order_acquire); }
  int64_t rows_loaded() const { return rows_loaded_.load(std::memory_order_relaxed); }

 private:
  struct KeyRange {
    Key first;
    Key last;
  };

  void RunThread();
  absl::Status LoadRange(const KeyRange& range);
  // Keys whose stamps moved while a scan ran are read again one by one.
  absl::Status LoadKeys(std::vector<Key> keys);
  // Promotes rows read under `stamps`; *refused gets the indices of those that must be read again.
  absl::Status Insert(absl::Span<const Key> keys, const std::vector<uint8_t>& rows,
                      const StampsRead& stamps, std::vector<uint32_t>* refused);
  absl::StatusOr<std::vector<KeyRange>> SplitKeys() const;
  bool full() const;

  // Constant after construction.
  const TableSpec spec_;
  const std::shared_ptr<EmbeddingStore> lower_;
  const std::shared_ptr<EmbeddingStore> upper_;
  const UpdateStamps* const stamps_;
  Mutex* const apply_mutex_;
  const int64_t losses_before_;
  const bool yields_;  // to lookups, where cores are busy

  // Synchronize themselves.
  std::atomic<bool> stopping_{false};
  std::atomic<bool> was_completed_{false};
  std::atomic<bool> left_out_{false};  // a row that did not fit, or never held still
  std::atomic<int64_t> rows_loaded_{0};

  mutable Mutex mutex_;
  mutable CondVar finished_;
  bool split_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<KeyRange> ranges_ ABSL_GUARDED_BY(mutex_);  // not yet begun, last first
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::vector<std::thread> threads_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_STORE_PRELOADER_H_
