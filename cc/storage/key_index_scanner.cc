#include "cc/storage/key_index_scanner.h"

#include <algorithm>

namespace tf_hps {

KeyIndexScanner::KeyIndexScanner(std::shared_ptr<KeyIndex> index, Key first, Key last,
                                 size_t row_bytes, std::shared_ptr<void> keys_stay, Find find)
    : index_(std::move(index)),
      first_(first),
      last_(last),
      row_bytes_(row_bytes),
      keys_stay_(std::move(keys_stay)),
      find_(std::move(find)),
      overflow_(index_->overflow().All()) {}

absl::Status KeyIndexScanner::Next(size_t max_rows, RowBlock* block) {
  block->Clear();
  while (block->size() == 0) {
    std::vector<Key> keys = NextKeys(max_rows);
    if (keys.empty()) return absl::OkStatus();
    FindRows(std::move(keys), block);
  }
  return absl::OkStatus();
}

std::vector<Key> KeyIndexScanner::NextKeys(size_t max_keys) {
  std::vector<Key> keys;
  const auto take = [&](Key key) {
    if (first_ <= key && key <= last_) keys.push_back(key);
  };
  const uint64_t num_ways = index_->num_sets() * KeySet::kWays;
  for (; next_way_ < num_ways && keys.size() < max_keys; ++next_way_) {
    const uint64_t number = next_way_ / KeySet::kWays;
    const KeySet& set = index_->sets()[number];
    const uint64_t way = next_way_ % KeySet::kWays;
    if (set.rows[way].load(std::memory_order_acquire) < KeySet::kFirstRow) continue;
    const Key key = set.keys[way].load(std::memory_order_relaxed);
    if (key != index_->FreeKey(number)) take(key);  // unless its row has gone just now
  }
  for (; next_overflow_ < overflow_.size() && keys.size() < max_keys; ++next_overflow_) {
    take(overflow_[next_overflow_].first);
  }
  return keys;
}

void KeyIndexScanner::FindRows(std::vector<Key> keys, RowBlock* block) const {
  block->rows.resize(keys.size() * row_bytes_);
  // Without a default row: keys marked absent stay pending.
  const RowSink sink = RowSink::Raw(block->rows.data(), row_bytes_);
  Pending pending = Pending::All(keys.size());
  find_(keys, sink, &pending);
  // Closes the gaps of rows that went meanwhile.
  size_t kept = 0;
  for (size_t i = 0, gap = 0; i < keys.size(); ++i) {
    if (gap < pending.size() && pending[gap] == i) {
      ++gap;
      continue;
    }
    if (kept != i) {
      keys[kept] = keys[i];
      std::copy_n(&block->rows[i * row_bytes_], row_bytes_, &block->rows[kept * row_bytes_]);
    }
    ++kept;
  }
  keys.resize(kept);
  block->rows.resize(kept * row_bytes_);
  block->keys = std::move(keys);
}

}  // namespace tf_hps
