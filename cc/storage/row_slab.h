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

// The memory of a store's rows, by number. Rows never move. Thread-safe, except that who writes a
// row sees to it that readers notice (KeySet's version).
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

  // The number of a row that nobody has; kNoRow when all capacity() rows are taken.
  absl::StatusOr<uint32_t> Allocate();
  void Free(uint32_t row);
  // Rows taken, exactly.
  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  int64_t bytes() const { return static_cast<int64_t>(committed_.load(std::memory_order_relaxed)); }

  // Relaxed atomic stores: lock-free readers may be copying the row.
  void Write(uint32_t row, const uint8_t* bytes);
  const uint8_t* row(uint32_t row) const { return data() + row * stride_; }

 private:
  RowSlab(AddressRange range, size_t row_bytes, int64_t capacity);
  absl::Status CommitRow(int64_t row);

  const size_t row_bytes_;
  const size_t stride_;
  const int64_t capacity_;

  std::atomic<int64_t> next_{0};  // rows never taken start here
  std::atomic<int64_t> rows_{0};
  std::atomic<size_t> committed_{0};
  std::atomic<size_t> num_free_{0};  // free_.size(), to look at without the mutex

  Mutex mutex_;
  AddressRange range_;  // its size: guarded by mutex_
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROW_SLAB_H_
