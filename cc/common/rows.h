#ifndef TF_HPS_CC_COMMON_ROWS_H_
#define TF_HPS_CC_COMMON_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/default_rows.h"
#include "cc/common/key.h"
#include "cc/common/row_codec.h"

namespace tf_hps {

// Stored rows of one table somewhere in memory, not owned: row i is row_bytes() bytes at row(i).
class RowsView {
 public:
  RowsView(const uint8_t* data, size_t row_bytes) : RowsView(data, row_bytes, row_bytes) {}
  RowsView(const uint8_t* data, size_t row_bytes, size_t stride)
      : data_(data), row_bytes_(row_bytes), stride_(stride) {}

  const uint8_t* row(size_t i) const { return data_ + i * stride_; }
  size_t row_bytes() const { return row_bytes_; }
  RowsView From(size_t first) const { return RowsView(row(first), row_bytes_, stride_); }

 private:
  const uint8_t* data_;
  size_t row_bytes_;
  size_t stride_;
};

// Where a batch's rows go, and how they are decoded on the way. Position p of the batch is written
// to destination + p * stride. Copyable and cheap; many threads may put different positions at
// once. Putting a position twice leaves what the last Put wrote (lock-free readers rely on it to
// retry).
struct RowSink {
  uint8_t* destination = nullptr;
  size_t stride = 0;           // bytes between positions
  size_t out_bytes = 0;        // bytes written for each position
  DecodeRow decode = nullptr;  // null: copy out_bytes
  int64_t embedding_dim = 0;
  // Of each bucket out_bytes, already decoded.
  const uint8_t* default_row = nullptr;
  DefaultBuckets default_buckets;

  // Writes stored rows as they are, one after the other.
  static RowSink Raw(uint8_t* rows, size_t row_bytes) {
    RowSink sink;
    sink.destination = rows;
    sink.stride = sink.out_bytes = row_bytes;
    return sink;
  }

  void Put(size_t position, const uint8_t* row) const {
    uint8_t* out = destination + position * stride;
    if (decode == nullptr) {
      std::memcpy(out, row, out_bytes);
    } else {
      decode(row, out, embedding_dim);
    }
  }
  // `key`: the one that is asked for at the position.
  void PutDefault(size_t position, Key key) const {
    std::memcpy(destination + position * stride, default_row + default_buckets.Of(key) * out_bytes,
                out_bytes);
  }
};

// The positions of a batch that nobody has answered yet, ascending. Starts as all of [begin, end)
// without a list, so that a batch whose rows are all in the first tier allocates nothing.
class Pending {
 public:
  Pending() = default;
  static Pending Range(uint32_t begin, uint32_t end) {
    Pending pending;
    pending.is_range_ = true;
    pending.begin_ = begin;
    pending.end_ = end;
    return pending;
  }
  static Pending All(size_t n) { return Range(0, static_cast<uint32_t>(n)); }

  bool empty() const { return size() == 0; }
  size_t size() const { return is_range_ ? end_ - begin_ : positions_.size(); }
  uint32_t operator[](size_t i) const {
    return is_range_ ? begin_ + static_cast<uint32_t>(i) : positions_[i];
  }
  bool is_range() const { return is_range_; }

  // What is left after a tier answered: `positions` ascending, a subset of the present ones.
  void Assign(std::vector<uint32_t> positions) {
    is_range_ = false;
    positions_ = std::move(positions);
  }
  void Clear() { Assign({}); }

  // Of the positions that left, how many were answered by a mark "nobody knows this key".
  void CountAbsent(size_t n) { absent_ += n; }
  size_t absent() const { return absent_; }

 private:
  bool is_range_ = false;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  size_t absent_ = 0;
  std::vector<uint32_t> positions_;
};

// Rows that own their memory, key by key.
struct RowBlock {
  std::vector<Key> keys;
  std::vector<uint8_t> rows;  // keys.size() * row_bytes

  size_t size() const { return keys.size(); }
  void Clear() {
    keys.clear();
    rows.clear();
  }
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROWS_H_
