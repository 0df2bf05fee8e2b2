#include "cc/storage/rocksdb_commit.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_row_ages.h"
#include "cc/storage/rocksdb_scanner.h"
#include "cc/storage/rocksdb_view.h"

namespace tf_hps {

RocksdbCommit::RocksdbCommit(std::shared_ptr<RocksdbDatabase> database)
    : database_(std::move(database)), batch_(database_->TakeBatch()) {}

RocksdbCommit::~RocksdbCommit() {
  Show();
  database_->GiveBack(std::move(batch_));
}

void RocksdbCommit::Add(RocksdbTable* table, const StoreChange& change) {
  // In the order of the memtable, which then finds each row's place from the last one's: 1.4 us a
  // row less. Of equal keys the last one counts, so those keep theirs.
  std::vector<std::pair<uint64_t, uint32_t>> order;
  order.reserve(change.keys.size());
  for (size_t i = 0; i < change.keys.size(); ++i) {
    order.emplace_back(RocksdbKeyOrder(change.keys[i]), static_cast<uint32_t>(i));
  }
  std::sort(order.begin(), order.end());
  for (const auto& [key_order, i] : order) {
    const RocksdbRowKey key = RocksdbRowKey::OfOrder(key_order);
    rocksdb_writebatch_put_cf(batch_.get(), table->rows.get(), key.data(), key.size(),
                              reinterpret_cast<const char*>(change.rows.row(i)),
                              change.rows.row_bytes());
  }
  for (const Key key : change.erased) AddErase(*table, key, batch_.get());
  database_->AddRecord(batch_.get(), table->record.StreamKey(), change.record);
  if (change.ages != nullptr) {
    AddAgesChange(*table, *change.ages, batch_.get());
    database_->AddRecord(batch_.get(), table->record.GrowthKey(), change.ages->record);
  } else if (change.has_rows()) {
    database_->ForgetAges(batch_.get(), *table);
  }
  if (change.has_rows()) tables_.push_back({table, change.position});
}

absl::Status RocksdbCommit::Write() {
  const auto before = std::make_shared<const RocksdbSnapshot>(database_->db());
  for (const RocksdbDatabase::Changed& changed : tables_) changed.table->view.Hold(before);
  is_hidden_ = true;
  return database_->WriteTogether(tables_, batch_.get());
}

void RocksdbCommit::Show() {
  if (!is_hidden_) return;
  is_hidden_ = false;
  for (const RocksdbDatabase::Changed& changed : tables_) changed.table->view.Release();
}

}  // namespace tf_hps
