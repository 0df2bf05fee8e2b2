#include "cc/storage/rocksdb_scanner.h"

#include <cstring>
#include <utility>

namespace tf_hps {
namespace {

constexpr size_t kReadahead = size_t{2} << 20;

class RocksdbScanner : public RowScanner {
 public:
  RocksdbScanner(OpenRocksdbTable table, Key first, Key last)
      : table_(std::move(table)), options_(rocksdb_readoptions_create()) {
    first_ = RocksdbKeyBytes(RocksdbKeyOrder(first));
    const uint64_t last_order = RocksdbKeyOrder(last);
    bounded_ = last_order != ~uint64_t{0};  // the bound is exclusive, and nothing follows INT64_MAX
    bound_ = RocksdbKeyBytes(last_order + 1);
    if (bounded_) {
      rocksdb_readoptions_set_iterate_upper_bound(
          options_.get(), reinterpret_cast<const char*>(&bound_), sizeof(bound_));
    }
    rocksdb_readoptions_set_readahead_size(options_.get(), kReadahead);
    rocksdb_readoptions_set_fill_cache(options_.get(), 0);
    RocksdbView::Moment moment;
    do {
      moment = table_.table->view.Get();
      snapshot_ = moment.snapshot;
      rocksdb_readoptions_set_snapshot(options_.get(),
                                       snapshot_ == nullptr ? nullptr : snapshot_->get());
      it_.reset(rocksdb_create_iterator_cf(table_.db(), options_.get(), table_.rows()));
    } while (table_.table->view.HasMoved(moment));
    rocksdb_iter_seek(it_.get(), reinterpret_cast<const char*>(&first_), sizeof(first_));
  }

  absl::Status Next(size_t max_rows, RowBlock* block) override {
    block->Clear();
    for (; block->size() < max_rows && rocksdb_iter_valid(it_.get());
         rocksdb_iter_next(it_.get())) {
      size_t bytes = 0;
      const char* const key_data = rocksdb_iter_key(it_.get(), &bytes);
      uint64_t key_bytes = 0;
      if (bytes != sizeof(key_bytes)) {
        return absl::DataLossError(absl::StrCat(table_.Name(), ": a key has ", bytes,
                                                " bytes, keys have ", sizeof(key_bytes)));
      }
      std::memcpy(&key_bytes, key_data, sizeof(key_bytes));
      const Key key = RocksdbKeyFromBytes(key_bytes);
      const char* const row = rocksdb_iter_value(it_.get(), &bytes);
      if (bytes != table_.row_bytes()) return table_.WrongLength(key, bytes);
      block->keys.push_back(key);
      block->rows.insert(block->rows.end(), row, row + bytes);
    }
    RocksdbError error;
    rocksdb_iter_get_error(it_.get(), error.out());
    if (error) return RocksdbStatus(table_.Name(), error.text());
    return absl::OkStatus();
  }

 private:
  // In this order: the iterator goes before its bounds, its snapshot and the database.
  const OpenRocksdbTable table_;
  uint64_t first_ = 0;
  uint64_t bound_ = 0;
  bool bounded_ = false;
  std::shared_ptr<const RocksdbSnapshot> snapshot_;  // null: that of the iterator
  const RocksdbReadOptionsPtr options_;
  RocksdbIteratorPtr it_;
};

}  // namespace

absl::Status OpenRocksdbTable::WrongLength(Key key, size_t bytes) const {
  return absl::DataLossError(absl::StrCat(Name(), ": the row of key ", key, " has ", bytes,
                                          " bytes, the table's rows have ", row_bytes(),
                                          " (embedding_dim ", table->record.embedding_dim, ", ",
                                          RowFormatName(table->record.row_format), ")"));
}

std::unique_ptr<RowScanner> NewRocksdbScanner(OpenRocksdbTable table, Key first, Key last) {
  return std::make_unique<RocksdbScanner>(std::move(table), first, last);
}

}  // namespace tf_hps
