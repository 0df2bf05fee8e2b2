#include "cc/storage/rocksdb_scanner.h"

#include <deque>

#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_row_iterator.h"

namespace tf_hps {
namespace {

// The rows of one table, one after the other.
class Cursor {
 public:
  Cursor(const OpenRocksdbTable& table, Key first, Key last) : table_(table), it_(first, last) {
    RocksdbView::Moment moment;
    do {
      moment = table_.table->view.Get();
      snapshot_ = moment.snapshot;
      it_.Begin(table_.db(), table_.rows(), snapshot_ == nullptr ? nullptr : snapshot_->get());
    } while (table_.table->view.HasMoved(moment));
  }

  // False at the end, or at an error.
  bool valid() const { return it_.valid(); }
  absl::Status status() const {
    RocksdbError error;
    it_.FindError(&error);
    return error ? RocksdbStatus(table_.Name(), error.text()) : absl::OkStatus();
  }
  void Next() { it_.Next(); }

  absl::StatusOr<Key> key() const {
    Key key = 0;
    if (RocksdbRowKey::Parse(it_.key(), &key)) return key;
    return absl::DataLossError(absl::StrCat(table_.Name(), ": a key has ", it_.key().size(),
                                            " bytes, keys have ", RocksdbRowKey::size()));
  }
  // Empty: the key was erased.
  absl::StatusOr<absl::string_view> row(Key key) const {
    const absl::string_view row = it_.value();
    if (row.size() == table_.row_bytes() || table_.IsErased(row.size())) return row;
    return table_.WrongLength(key, row.size());
  }

 private:
  // In this order: the iterator goes before its snapshot and the database.
  const OpenRocksdbTable table_;
  std::shared_ptr<const RocksdbSnapshot> snapshot_;  // null: that of the iterator
  RocksdbRowIterator it_;
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
  const RocksdbRowKey bytes(key);
  if (table.record.has_erased_keys()) {
    rocksdb_writebatch_put_cf(batch, table.rows.get(), bytes.data(), bytes.size(), "", 0);
  } else {
    rocksdb_writebatch_delete_cf(batch, table.rows.get(), bytes.data(), bytes.size());
  }
}

}  // namespace tf_hps
