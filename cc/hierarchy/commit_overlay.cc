#include "cc/hierarchy/commit_overlay.h"

#include <algorithm>

#include "cc/common/hash.h"

namespace tf_hps {

// The key's entry, or the free one where it would stand.
CommitOverlay::Entry* CommitOverlay::Rows::Find(Key key) {
  size_t at = ReduceHash(HashKey(key), entries.size());
  while (entries[at].row != kNoKey && entries[at].key != key) {
    if (++at == entries.size()) at = 0;
  }
  return &entries[at];
}

void CommitOverlay::Add(const EmbeddingTable* table, const UpdateBatch& batch) {
  Rows& rows = tables_[table];
  rows.entries.assign(3 * (batch.keys.size() + batch.erased.size()) + 1, Entry());
  rows.row_bytes = batch.rows.row_bytes();
  rows.rows.resize(batch.keys.size() * rows.row_bytes);
  for (uint32_t i = 0; i < batch.keys.size(); ++i) {
    std::copy_n(batch.rows.row(i), rows.row_bytes, &rows.rows[i * rows.row_bytes]);
    *rows.Find(batch.keys[i]) = {batch.keys[i], i};
  }
  for (const Key key : batch.erased) *rows.Find(key) = {key, kErased};
}

void CommitOverlay::Put(const EmbeddingTable* table, absl::Span<const Key> keys,
                        const RowSink& sink) const {
  const auto changed = tables_.find(table);
  if (changed == tables_.end()) return;
  const Rows& rows = changed->second;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint32_t row = rows.Find(keys[i])->row;
    if (row == kErased) {
      sink.PutDefault(i, keys[i]);
    } else if (row != kNoKey) {
      sink.Put(i, &rows.rows[row * rows.row_bytes]);
    }
  }
}

}  // namespace tf_hps
