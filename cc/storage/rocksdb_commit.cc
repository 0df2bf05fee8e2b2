#include "cc/storage/rocksdb_commit.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "cc/storage/rocksdb_row_ages.h"
#include "cc/storage/rocksdb_view.h"

namespace tf_hps {

RocksdbCommit::RocksdbCommit(std::shared_ptr<RocksdbDatabase> database)
    : database_(std::move(database)), batch_(database_->TakeBatch()) {}

RocksdbCommit::~RocksdbCommit() {
  Show();
  database_->GiveBack(std::move(batch_));
}

void RocksdbCommit::Add(RocksdbTable* table, absl::Span<const Key> keys, const RowsView& rows,
                        absl::Span<const Key> erased, absl::string_view record,
                        const AgesChange* ages) {
  // In the order of the memtable, which then finds each row's place from the last one's: 1.4 us a
  // row less. Of equal keys the last one counts, so those keep theirs.
  std::vector<std::pair<uint64_t, uint32_t>> order;
  order.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    order.emplace_back(RocksdbKeyOrder(keys[i]), static_cast<uint32_t>(i));
  }
  std::sort(order.begin(), order.end());
  for (const auto& [key_order, i] : order) {
    const uint64_t key = RocksdbKeyBytes(key_order);
    rocksdb_writebatch_put_cf(batch_.get(), table->rows.get(), reinterpret_cast<const char*>(&key),
                              sizeof(key), reinterpret_cast<const char*>(rows.row(i)),
                              rows.row_bytes());
  }
  for (const Key erased_key : erased) {
    const uint64_t key = RocksdbKeyBytes(RocksdbKeyOrder(erased_key));
    rocksdb_writebatch_delete_cf(batch_.get(), table->rows.get(),
                                 reinterpret_cast<const char*>(&key), sizeof(key));
  }
  database_->AddRecord(batch_.get(), table->record.StreamKey(), record);
  const bool has_rows = !keys.empty() || !erased.empty();
  if (ages != nullptr) {
    AddAgesChange(*table, *ages, batch_.get());
    database_->AddRecord(batch_.get(), table->record.GrowthKey(), ages->record);
  } else if (has_rows) {
    database_->ForgetAges(batch_.get(), *table);
  }
  if (has_rows) tables_.push_back(table);
}

absl::Status RocksdbCommit::Write() {
  const auto before = std::make_shared<const RocksdbSnapshot>(database_->db());
  for (RocksdbTable* table : tables_) table->view.Hold(before);
  is_hidden_ = true;
  return database_->WriteTogether(tables_, batch_.get());
}

void RocksdbCommit::Show() {
  if (!is_hidden_) return;
  is_hidden_ = false;
  for (RocksdbTable* table : tables_) table->view.Release();
}

}  // namespace tf_hps
