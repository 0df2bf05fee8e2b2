#include "cc/hierarchy/missed_rows.h"

#include "cc/common/row_codec.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/unique_keys.h"

namespace tf_hps {

MissedRows::MissedRows(absl::Span<const Key> missed) : key_of_miss_(missed.size()) {
  const UniqueKeys unique(missed, Pending::All(missed.size()));
  keys_.assign(unique.keys().begin(), unique.keys().end());
  for (size_t i = 0; i < missed.size(); ++i) key_of_miss_[i] = unique.index(i);
}

absl::Status MissedRows::Fetch(EmbeddingTable* table) {
  row_bytes_ = table->spec().row_bytes();
  stride_ = (row_bytes_ + 1 + 7) / 8 * 8;
  rows_.resize(keys_.size() * stride_);
  const std::vector<uint8_t> nothing(row_bytes_ + 1);
  RowSink sink;
  sink.destination = rows_.data();
  sink.stride = stride_;
  sink.out_bytes = row_bytes_ + 1;
  sink.decode = CopyFoundRow;
  sink.embedding_dim = static_cast<int64_t>(row_bytes_);
  sink.default_row = nothing.data();
  stamps_ = std::make_unique<StampsRead>(table->ReadStamps(keys_));
  Pending pending = Pending::All(keys_.size());
  if (absl::Status status = table->FindInMemory(keys_, sink, &pending); !status.ok()) return status;
  if (absl::Status status = table->FindInStores(keys_, sink, &pending); !status.ok()) return status;
  found_.resize(keys_.size());
  for (size_t i = 0; i < keys_.size(); ++i) found_[i] = rows_[i * stride_ + row_bytes_];
  return absl::OkStatus();
}

CacheFill MissedRows::ToKeep() const {
  CacheFill fill;
  fill.keys = keys_;
  fill.rows = RowsView(rows_.data(), row_bytes_, stride_);
  fill.found = found_;
  fill.stamps = stamps_.get();
  return fill;
}

CacheFill MissedRows::ToWrite(const CacheRows* out, absl::Span<const uint32_t> positions) const {
  CacheFill fill = ToKeep();
  fill.out = out;
  fill.positions = positions;
  fill.key_of_miss = key_of_miss_;
  return fill;
}

}  // namespace tf_hps
