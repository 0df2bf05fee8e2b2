#include "cc/storage/rocksdb_scanner.h"

#include <cstring>
#include <deque>

#include "cc/storage/rocksdb_key.h"

namespace tf_hps {
namespace {

constexpr size_t kReadahead = size_t{2} << 20;

// The rows of one table, one after the other.
class Cursor {
 public:
  Cursor(const OpenRocksdbTable& table, Key first, Key last)
      : table_(table), options_(rocksdb_readoptions_create()) {
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

  // False at the end, or at an error.
  bool valid() const { return rocksdb_iter_valid(it_.get()) != 0; }
  absl::Status status() const {
    RocksdbError error;
    rocksdb_iter_get_error(it_.get(), error.out());
    return error ? RocksdbStatus(table_.Name(), error.text()) : absl::OkStatus();
  }
  void Next() { rocksdb_iter_next(it_.get()); }

  absl::StatusOr<Key> key() const {
    size_t bytes = 0;
    const char* const data = rocksdb_iter_key(it_.get(), &bytes);
    uint64_t key_bytes = 0;
    if (bytes != sizeof(key_bytes)) {
      return absl::DataLossError(absl::StrCat(table_.Name(), ": a key has ", bytes,
                                              " bytes, keys have ", sizeof(key_bytes)));
    }
    std::memcpy(&key_bytes, data, sizeof(key_bytes));
    return RocksdbKeyFromBytes(key_bytes);
  }
  // Empty: the key was erased.
  absl::StatusOr<absl::string_view> row(Key key) const {
    size_t bytes = 0;
    const char* const row = rocksdb_iter_value(it_.get(), &bytes);
    if (bytes != table_.row_bytes() && !table_.IsErased(bytes)) {
      return table_.WrongLength(key, bytes);
    }
    return absl::string_view(row, bytes);
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

// Of tables that lie over each other: for each key the row of the first that has the key.
class RocksdbScanner : public RowScanner {
 public:
  RocksdbScanner(const OpenRocksdbTable& table, Key first, Key last) {
    for (const OpenRocksdbTable* layer = &table; layer != nullptr; layer = layer->base.get()) {
      layers_.emplace_back(*layer, first, last);
    }
  }

  absl::Status Next(size_t max_rows, RowBlock* block) override {
    block->Clear();
    while (block->size() < max_rows) {
      Cursor* of_key = nullptr;
      Key key = 0;
      for (Cursor& layer : layers_) {
        if (!layer.valid()) {
          if (absl::Status status = layer.status(); !status.ok()) return status;
          continue;
        }
        const absl::StatusOr<Key> at = layer.key();
        if (!at.ok()) return at.status();
        if (of_key == nullptr || *at < key) {
          of_key = &layer;
          key = *at;
        }
      }
      if (of_key == nullptr) break;
      const absl::StatusOr<absl::string_view> row = of_key->row(key);
      if (!row.ok()) return row.status();
      if (!row->empty()) {
        block->keys.push_back(key);
        block->rows.insert(block->rows.end(), row->begin(), row->end());
      }
      for (Cursor& layer : layers_) {
        if (&layer != of_key && layer.valid() && *layer.key() == key) layer.Next();
      }
      of_key->Next();
    }
    return absl::OkStatus();
  }

 private:
  std::deque<Cursor> layers_;
};

}  // namespace

absl::Status OpenRocksdbTable::WrongLength(Key key, size_t bytes) const {
  return absl::DataLossError(absl::StrCat(Name(), ": the row of key ", key, " has ", bytes,
                                          " bytes, the table's rows have ", row_bytes(),
                                          " (embedding_dim ", table->record.embedding_dim, ", ",
                                          RowFormatName(table->record.row_format), ")"));
}

std::unique_ptr<RowScanner> NewRocksdbScanner(const OpenRocksdbTable& table, Key first, Key last) {
  return std::make_unique<RocksdbScanner>(table, first, last);
}

void AddErase(const RocksdbTable& table, Key key, rocksdb_writebatch_t* batch) {
  const uint64_t bytes = RocksdbKeyBytes(RocksdbKeyOrder(key));
  const char* const data = reinterpret_cast<const char*>(&bytes);
  if (table.record.has_erased_keys()) {
    rocksdb_writebatch_put_cf(batch, table.rows.get(), data, sizeof(bytes), "", 0);
  } else {
    rocksdb_writebatch_delete_cf(batch, table.rows.get(), data, sizeof(bytes));
  }
}

}  // namespace tf_hps
