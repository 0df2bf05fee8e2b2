#ifndef TF_HPS_CC_STORAGE_ROW_SLAB_H_
#define TF_HPS_CC_STORAGE_ROW_SLAB_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/mutex.h"
#include "cc/storage/address_range.h"

namespace tf_hps {

// The memory of a store's rows, by number. Thread-safe, except that who writes a row, or uses
// another number for it, sees to it that readers notice (KeySet's version).
//
// It is made smaller in three steps: SetLimit, while nobody allocates; Lower for every row that
// lies beyond the limit, once rows() is not above it; GiveBack.
class RowSlab {
 public:
  static constexpr uint32_t kNoRow = 0xffffffff;
  static constexpr int64_t kMaxRows = 0xfffffff0;

  // capacity 0: as many rows as this machine's memory holds.
  static absl::StatusOr<std::unique_ptr<RowSlab>> Create(size_t row_bytes, int64_t capacity,
                                                         int64_t expected_rows);
  // Rows start this far apart.
  static size_t StrideFor(size_t row_bytes);

  const uint8_t* data() const { return range_.data(); }
  size_t stride() const { return stride_; }
  int64_t capacity() const { return capacity_; }
  // Rows that may be taken, capacity() at most. No other number than those below it is given out.
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }

  // The number of a row that nobody has; kNoRow when limit() rows are taken.
  absl::StatusOr<uint32_t> Allocate();
  void Free(uint32_t row);
  // Rows taken, exactly.
  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  int64_t bytes() const { return static_cast<int64_t>(committed_.load(std::memory_order_relaxed)); }

  void SetLimit(int64_t rows) { limit_.store(rows, std::memory_order_relaxed); }
  bool ReachesBeyondLimit() const { return next_.load(std::memory_order_relaxed) > limit(); }
  // Another number for a row beyond the limit, with what was written there. The same where it is
  // below, or while more rows are taken than the limit says.
  uint32_t Lower(uint32_t row);
  // Nobody has a row beyond the limit any more: its memory goes back to the system.
  absl::Status GiveBack();

  // Relaxed atomic stores: lock-free readers may be copying the row.
  void Write(uint32_t row, const uint8_t* bytes);
  const uint8_t* row(uint32_t row) const { return data() + row * stride_; }

 private:
  RowSlab(AddressRange range, size_t row_bytes, int64_t capacity);
  absl::Status CommitRow(int64_t row);
  uint32_t TakeFree();

  const size_t row_bytes_;
  const size_t stride_;
  const int64_t capacity_;

  std::atomic<int64_t> limit_;
  std::atomic<int64_t> next_{0};  // no row from here on is taken
  std::atomic<int64_t> rows_{0};
  std::atomic<size_t> committed_{0};
  std::atomic<size_t> num_free_{0};  // free_.size(), to look at without the mutex

  Mutex mutex_;
  AddressRange range_;  // its size: guarded by mutex_
  // Some may be beyond a limit that came later.
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROW_SLAB_H_
