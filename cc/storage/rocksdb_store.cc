#include "cc/storage/rocksdb_store.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_commit.h"
#include "cc/storage/rocksdb_delta.h"
#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_multi_get.h"
#include "cc/storage/rocksdb_row_ages.h"
#include "cc/storage/rocksdb_status.h"
#include "cc/storage/rocksdb_view.h"

namespace tf_hps {
namespace {

// Keys per MultiGet. RocksDB reads them 32 at a time whatever the number: 64 and 512 gave one rate,
// 4096 took 5 to 10 % longer (benchmarks/cc/rocksdb_store_find.cc).
constexpr size_t kKeysPerMultiGet = 512;
// A batch is one write to the log: bounded, so that a bulk insert does not hold all its rows twice.
constexpr size_t kWriteChunkBytes = size_t{4} << 20;

using Gets = RocksdbMultiGet<RocksdbRowKey, kKeysPerMultiGet>;

struct Wanted {
  uint64_t order;  // RocksdbKeyOrder(key)
  uint32_t position;
};

class RocksdbStore : public EmbeddingStore {
 public:
  RocksdbStore(OpenRocksdbTable table, bool read_only)
      : table_(std::move(table)),
        writable_(read_only ? ReadOnlyError() : CheckNoDeltaOver(table_)),
        read_options_(rocksdb_readoptions_create()) {}

  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                    Pending* pending) const override {
    // Sorted, a batch reads each block once, and equal keys are asked for once.
    std::vector<Wanted> wanted(pending->size());
    bool sorted = true;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const uint32_t position = (*pending)[i];
      wanted[i] = {RocksdbKeyOrder(keys[position]), position};
      sorted = sorted && (i == 0 || wanted[i - 1].order <= wanted[i].order);
    }
    if (!sorted) {
      std::sort(wanted.begin(), wanted.end(),
                [](const Wanted& a, const Wanted& b) { return a.order < b.order; });
    }

    std::vector<uint32_t> left;
    absl::Status status;
    for (const OpenRocksdbTable* layer = &table_; layer != nullptr; layer = layer->base.get()) {
      std::vector<Wanted> below;
      status = FindIn(*layer, keys, wanted, sink, &left, &below);
      wanted = std::move(below);
      if (!status.ok()) break;
    }
    for (const Wanted& one : wanted) left.push_back(one.position);
    if (!sorted || table_.base != nullptr) std::sort(left.begin(), left.end());
    pending->Assign(std::move(left));
    return status;
  }

  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override {
    if (!writable_.ok()) return writable_;
    if (rows.row_bytes() != table_.row_bytes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          table_.Name(), ": a row has ", rows.row_bytes(), " bytes, the table's rows have ",
          table_.row_bytes(), " (embedding_dim ", table_.table->record.embedding_dim, ", ",
          RowFormatName(table_.table->record.row_format), ")"));
    }
    const size_t chunk = std::max<size_t>(1, kWriteChunkBytes / table_.row_bytes());
    for (size_t begin = 0; begin < keys.size(); begin += chunk) {
      const size_t end = std::min(begin + chunk, keys.size());
      if (absl::Status status = InsertChunk(keys, rows, begin, end, options); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Erase(absl::Span<const Key> keys) override {
    if (!writable_.ok()) return writable_;
    if (keys.empty()) return absl::OkStatus();
    const RocksdbBatchPtr batch(rocksdb_writebatch_create());
    for (const Key key : keys) AddErase(*table_.table, key, batch.get());
    MutexLock lock(&table_.table->write_mutex);
    return table_.database->Write(table_.table, batch.get());
  }

  std::unique_ptr<StoreCommit> NewCommit() override {
    return std::make_unique<RocksdbCommit>(table_.database);
  }
  bool AddTo(StoreCommit* commit, const StoreChange& change) override {
    auto* const ours = dynamic_cast<RocksdbCommit*>(commit);
    if (ours == nullptr || ours->database() != table_.database.get()) return false;
    ours->Add(table_.table, change);
    return true;
  }
  absl::StatusOr<std::string> StreamRecord() const override {
    absl::StatusOr<std::string> record;
    for (const OpenRocksdbTable* layer = &table_; layer != nullptr; layer = layer->base.get()) {
      record = layer->database->GetRecord(layer->table->record.StreamKey());
      // A delta's base has a stream of its own.
      if (!record.ok() || !record->empty() || layer->table->record.base.has_value()) break;
    }
    return record;
  }
  absl::StatusOr<std::unique_ptr<RowAges>> OpenRowAges() override {
    if (!writable_.ok()) return writable_;
    return OpenRocksdbRowAges(table_);
  }

  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override {
    return NewRocksdbScanner(table_, first, last);
  }

  bool AnswersFromMemory() const override { return false; }
  bool IsComplete() const override { return true; }

  StoreStats Stats() const override {
    StoreStats stats;
    // Estimates count a row that is replaced above twice, and one that is erased there.
    stats.rows_exact = true;
    bool is_counted = false;
    for (const OpenRocksdbTable* layer = &table_; layer != nullptr; layer = layer->base.get()) {
      const RocksdbTableRecord& record = layer->table->record;
      const bool exact = layer->table->changed_by().empty();
      stats.rows_exact = stats.rows_exact && exact;
      if (!is_counted) stats.rows += exact ? record.rows : Property(*layer, "estimate-num-keys");
      is_counted = is_counted || (exact && record.base.has_value());
      stats.bytes +=
          Property(*layer, "live-sst-files-size") + Property(*layer, "cur-size-all-mem-tables");
    }
    return stats;
  }
  absl::string_view kind() const override { return "rocksdb"; }

 private:
  static RocksdbReadOptionsPtr ReadOptionsAt(const RocksdbView::Moment& moment) {
    if (moment.snapshot == nullptr) return nullptr;
    RocksdbReadOptionsPtr options(rocksdb_readoptions_create());
    rocksdb_readoptions_set_snapshot(options.get(), moment.snapshot->get());
    return options;
  }

  // Ascending keys of one table of the store. `left`: positions of those that have no row;
  // `below`: those of which this table says nothing. After an error all that were not found are in
  // one of them.
  absl::Status FindIn(const OpenRocksdbTable& table, absl::Span<const Key> keys,
                      absl::Span<const Wanted> wanted, const RowSink& sink,
                      std::vector<uint32_t>* left, std::vector<Wanted>* below) const {
    RocksdbView::Moment moment = table.table->view.Get();
    RocksdbReadOptionsPtr at_moment = ReadOptionsAt(moment);
    Gets gets;
    absl::Status status;
    size_t next = 0;
    while (status.ok() && next < wanted.size()) {
      gets.Clear();
      size_t end = next;
      while (end < wanted.size()) {
        if (end == next || wanted[end].order != wanted[end - 1].order) {
          if (gets.full()) break;
          gets.Add(RocksdbRowKey::OfOrder(wanted[end].order));
        }
        ++end;
      }
      gets.Run(table.db(), at_moment == nullptr ? read_options_.get() : at_moment.get(),
               table.rows(), /*is_sorted=*/true);
      if (table.table->view.HasMoved(moment)) {  // what was found may not be for the eye yet
        moment = table.table->view.Get();
        at_moment = ReadOptionsAt(moment);
        continue;
      }
      for (size_t get = 0; next < end; ++get) {
        const uint64_t order = wanted[next].order;
        const Found found = RowOf(table, gets, get, keys[wanted[next].position], &status);
        for (; next < end && wanted[next].order == order; ++next) {
          if (found.row != nullptr) {
            sink.Put(wanted[next].position, found.row);
          } else if (found.is_erased) {
            left->push_back(wanted[next].position);
          } else {
            below->push_back(wanted[next]);
          }
        }
      }
    }
    below->insert(below->end(), wanted.begin() + next, wanted.end());
    return status;
  }

  struct Found {
    const uint8_t* row = nullptr;
    bool is_erased = false;
  };
  // What is under gets[i], which is `key`'s. A row that cannot be used sets *status, the first one.
  static Found RowOf(const OpenRocksdbTable& table, const Gets& gets, size_t i, Key key,
                     absl::Status* status) {
    if (gets.error(i) != nullptr) {
      if (status->ok()) *status = RocksdbStatus(table.Name(), gets.error(i));
      return {};
    }
    const std::optional<absl::string_view> row = gets.value(i);
    if (!row.has_value()) return {};
    if (table.IsErased(row->size())) return {nullptr, true};
    if (row->size() == table.row_bytes()) return {reinterpret_cast<const uint8_t*>(row->data())};
    if (status->ok()) *status = table.WrongLength(key, row->size());
    return {};
  }

  // Inserts [begin, end) of the batch.
  absl::Status InsertChunk(absl::Span<const Key> keys, const RowsView& rows, size_t begin,
                           size_t end, const InsertOptions& options) {
    MutexLock lock(&table_.table->write_mutex);
    // kKeep: where nothing stands yet. (gcc's UBSan refuses absl's hash containers.)
    std::unordered_set<Key> absent;
    if (options.existing == OnExisting::kKeep) {
      if (absl::Status status = FindAbsent(keys.subspan(begin, end - begin), &absent);
          !status.ok()) {
        return status;
      }
    }
    const RocksdbBatchPtr batch(rocksdb_writebatch_create());
    for (size_t i = begin; i < end; ++i) {
      if (options.existing == OnExisting::kKeep && absent.erase(keys[i]) == 0) continue;
      if (options.stamps != nullptr && options.stamps->Moved(i, keys[i])) {
        if (options.refused != nullptr) options.refused->push_back(static_cast<uint32_t>(i));
        continue;
      }
      const RocksdbRowKey key(keys[i]);
      rocksdb_writebatch_put_cf(batch.get(), table_.rows(), key.data(), key.size(),
                                reinterpret_cast<const char*>(rows.row(i)), rows.row_bytes());
    }
    if (rocksdb_writebatch_count(batch.get()) == 0) return absl::OkStatus();
    return table_.database->Write(table_.table, batch.get());
  }

  absl::Status FindAbsent(absl::Span<const Key> keys, std::unordered_set<Key>* absent) const {
    uint8_t nowhere = 0;
    RowSink sink;  // copies no byte
    sink.destination = &nowhere;
    Pending pending = Pending::All(keys.size());
    if (absl::Status status = Find(keys, sink, &pending); !status.ok()) return status;
    for (size_t i = 0; i < pending.size(); ++i) absent->insert(keys[pending[i]]);
    return absl::OkStatus();
  }

  absl::Status ReadOnlyError() const {
    return absl::FailedPreconditionError(absl::StrCat(
        table_.Name(), " is open read-only and takes no rows. Open it with `read_only` false."));
  }

  static int64_t Property(const OpenRocksdbTable& table, absl::string_view name) {
    uint64_t value = 0;
    const std::string property = absl::StrCat("rocksdb.", name);
    rocksdb_property_int_cf(table.db(), table.rows(), property.c_str(), &value);
    return static_cast<int64_t>(value);
  }

  const OpenRocksdbTable table_;
  const absl::Status writable_;  // or why no row is written
  const RocksdbReadOptionsPtr read_options_;
};

}  // namespace

std::unique_ptr<EmbeddingStore> NewRocksdbStore(OpenRocksdbTable table, bool read_only) {
  return std::make_unique<RocksdbStore>(std::move(table), read_only);
}

}  // namespace tf_hps
