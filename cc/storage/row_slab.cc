#include "cc/storage/row_slab.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

namespace tf_hps {

size_t RowSlab::StrideFor(size_t row_bytes) {
  const size_t words = (row_bytes + 7) / 8 * 8;
  // Whole cache lines where they cost 3 % or less: a row across one more line costs a lookup more.
  const size_t lines = (row_bytes + 63) / 64 * 64;
  return lines * 100 <= row_bytes * 103 ? lines : words;
}

absl::StatusOr<std::unique_ptr<RowSlab>> RowSlab::Create(size_t row_bytes, int64_t capacity,
                                                         int64_t expected_rows) {
  const size_t stride = StrideFor(row_bytes);
  const bool bounded = capacity > 0;
  if (!bounded) {
    const int64_t memory = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    capacity = memory / static_cast<int64_t>(stride);
  }
  capacity = std::clamp<int64_t>(capacity, 1, kMaxRows);
  for (;;) {
    absl::StatusOr<AddressRange> range =
        AddressRange::Reserve(static_cast<size_t>(capacity) * stride,
                              static_cast<size_t>(std::min(capacity, expected_rows)) * stride);
    if (range.ok()) {
      return std::unique_ptr<RowSlab>(new RowSlab(*std::move(range), row_bytes, capacity));
    }
    // The address space is limited (RLIMIT_AS). Who asked for a bound gets it or an error; without
    // one less will do, as long as the rows that are known fit.
    if (bounded || capacity / 2 < std::max<int64_t>(expected_rows, 1)) return range.status();
    capacity /= 2;
  }
}

RowSlab::RowSlab(AddressRange range, size_t row_bytes, int64_t capacity)
    : row_bytes_(row_bytes),
      stride_(StrideFor(row_bytes)),
      capacity_(capacity),
      limit_(capacity),
      range_(std::move(range)) {}

absl::StatusOr<uint32_t> RowSlab::Allocate() {
  // First a place among the rows, then a number: below the limit there is one for every place, also
  // while some rows are beyond it.
  int64_t rows = rows_.load(std::memory_order_relaxed);
  do {
    if (rows >= limit()) return kNoRow;
  } while (!rows_.compare_exchange_weak(rows, rows + 1, std::memory_order_relaxed));
  for (;;) {
    const uint32_t free = TakeFree();
    if (free != kNoRow) return free;
    int64_t row = next_.load(std::memory_order_relaxed);
    while (row < limit()) {
      if ((static_cast<size_t>(row) + 1) * stride_ > committed_.load(std::memory_order_acquire)) {
        absl::Status status = CommitRow(row);
        if (!status.ok()) {
          rows_.fetch_sub(1, std::memory_order_relaxed);
          return status;
        }
      }
      if (next_.compare_exchange_weak(row, row + 1, std::memory_order_relaxed)) {
        return static_cast<uint32_t>(row);
      }
    }
  }
}

uint32_t RowSlab::TakeFree() {
  if (num_free_.load(std::memory_order_relaxed) == 0) return kNoRow;
  MutexLock lock(&mutex_);
  uint32_t row = kNoRow;
  while (row == kNoRow && !free_.empty()) {
    if (free_.back() < limit()) row = free_.back();
    free_.pop_back();
  }
  num_free_.store(free_.size(), std::memory_order_relaxed);
  return row;
}

absl::Status RowSlab::CommitRow(int64_t row) {
  MutexLock lock(&mutex_);
  absl::Status status = range_.Commit((static_cast<size_t>(row) + 1) * stride_);
  committed_.store(range_.committed(), std::memory_order_release);
  return status;
}

void RowSlab::Free(uint32_t row) {
  MutexLock lock(&mutex_);
  if (row < limit()) {
    free_.push_back(row);
    num_free_.store(free_.size(), std::memory_order_relaxed);
  }
  rows_.fetch_sub(1, std::memory_order_relaxed);
}

uint32_t RowSlab::Lower(uint32_t row) {
  if (row < limit()) return row;
  // Of all numbers below the limit those that are not taken are free: next_ was beyond it.
  uint32_t lower;
  while ((lower = TakeFree()) == kNoRow) {
    if (rows() > limit()) return row;
  }
  const uint8_t* const from = range_.data() + row * stride_;
  uint8_t* const to = range_.data() + lower * stride_;
  for (size_t i = 0; i < row_bytes_; i += 8) {
    const uint64_t word =
        __atomic_load_n(reinterpret_cast<const uint64_t*>(from + i), __ATOMIC_RELAXED);
    __atomic_store_n(reinterpret_cast<uint64_t*>(to + i), word, __ATOMIC_RELAXED);
  }
  return lower;
}

absl::Status RowSlab::GiveBack() {
  {
    MutexLock lock(&mutex_);
    if (ReachesBeyondLimit()) {
      const auto is_beyond = [this](uint32_t row) { return row >= limit(); };
      free_.erase(std::remove_if(free_.begin(), free_.end(), is_beyond), free_.end());
      free_.shrink_to_fit();
      num_free_.store(free_.size(), std::memory_order_relaxed);
      next_.store(limit(), std::memory_order_relaxed);
    }
  }
  // In pieces, since who frees a row waits: 16 MiB in small pages take some 2 ms.
  constexpr size_t kPiece = size_t{16} << 20;
  for (;; std::this_thread::yield()) {
    MutexLock lock(&mutex_);
    const size_t before = range_.committed();
    absl::Status status = range_.GiveBack(static_cast<size_t>(limit()) * stride_, kPiece);
    if (!status.ok() || range_.committed() == before) return status;
    committed_.store(range_.committed(), std::memory_order_release);
  }
}

void RowSlab::Write(uint32_t row, const uint8_t* bytes) {
  uint8_t* const to = range_.data() + row * stride_;
  for (size_t i = 0; i < row_bytes_; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i, std::min<size_t>(8, row_bytes_ - i));
    __atomic_store_n(reinterpret_cast<uint64_t*>(to + i), word, __ATOMIC_RELAXED);
  }
}

}  // namespace tf_hps
