#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_commit.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_row_ages.h"
#include "cc/storage/rocksdb_scanner.h"
#include "cc/storage/rocksdb_status.h"
#include "cc/storage/rocksdb_view.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

// Keys per MultiGet. RocksDB reads them 32 at a time whatever the number: 64 and 512 gave one rate,
// 4096 took 5 to 10 % longer (benchmarks/cc/rocksdb_store_find.cc).
constexpr size_t kKeysPerMultiGet = 512;
// A batch is one write to the log: bounded, so that a bulk insert does not hold all its rows twice.
constexpr size_t kWriteChunkBytes = size_t{4} << 20;

// One MultiGet's arguments and results, which it frees.
class Gets {
 public:
  Gets() = default;
  ~Gets() { Free(); }
  Gets(const Gets&) = delete;
  Gets& operator=(const Gets&) = delete;

  bool full() const { return size_ == kKeysPerMultiGet; }
  size_t size() const { return size_; }
  void Add(uint64_t order) { keys_[size_++] = RocksdbKeyBytes(order); }

  // Keys ascend, each once.
  void Run(const OpenRocksdbTable& table, const rocksdb_readoptions_t* options) {
    Free();
    for (size_t i = 0; i < size_; ++i) {
      pointers_[i] = reinterpret_cast<const char*>(&keys_[i]);
      sizes_[i] = sizeof(uint64_t);
    }
    rocksdb_batched_multi_get_cf(table.db(), options, table.rows(), size_, pointers_.data(),
                                 sizes_.data(), values_.data(), errors_.data(),
                                 /*sorted_input=*/true);
    freed_ = false;
  }
  const char* error(size_t i) const { return errors_[i]; }
  // Null: not stored.
  const uint8_t* value(size_t i, size_t* bytes) const {
    if (values_[i] == nullptr) return nullptr;
    return reinterpret_cast<const uint8_t*>(rocksdb_pinnableslice_value(values_[i], bytes));
  }
  void Clear() {
    Free();
    size_ = 0;
  }

 private:
  void Free() {
    if (freed_) return;
    for (size_t i = 0; i < size_; ++i) {
      if (values_[i] != nullptr) rocksdb_pinnableslice_destroy(values_[i]);
      if (errors_[i] != nullptr) rocksdb_free(errors_[i]);
    }
    freed_ = true;
  }

  size_t size_ = 0;
  bool freed_ = true;
  std::array<uint64_t, kKeysPerMultiGet> keys_;
  std::array<const char*, kKeysPerMultiGet> pointers_;
  std::array<size_t, kKeysPerMultiGet> sizes_;
  std::array<rocksdb_pinnableslice_t*, kKeysPerMultiGet> values_;
  std::array<char*, kKeysPerMultiGet> errors_;
};

struct Wanted {
  uint64_t order;  // RocksdbKeyOrder(key)
  uint32_t position;
};

class RocksdbStore : public EmbeddingStore {
 public:
  RocksdbStore(OpenRocksdbTable table, bool read_only)
      : table_(std::move(table)),
        read_only_(read_only),
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

    RocksdbView::Moment moment = table_.table->view.Get();
    RocksdbReadOptionsPtr at_moment = ReadOptionsAt(moment);
    Gets gets;
    std::vector<uint32_t> left;
    absl::Status status;
    size_t next = 0;
    while (status.ok() && next < wanted.size()) {
      gets.Clear();
      size_t end = next;
      while (end < wanted.size()) {
        if (end == next || wanted[end].order != wanted[end - 1].order) {
          if (gets.full()) break;
          gets.Add(wanted[end].order);
        }
        ++end;
      }
      gets.Run(table_, at_moment == nullptr ? read_options_.get() : at_moment.get());
      if (table_.table->view.HasMoved(moment)) {  // what was found may not be for the eye yet
        moment = table_.table->view.Get();
        at_moment = ReadOptionsAt(moment);
        continue;
      }
      for (size_t get = 0; next < end; ++get) {
        const uint64_t order = wanted[next].order;
        const uint8_t* const row = RowOf(gets, get, keys[wanted[next].position], &status);
        for (; next < end && wanted[next].order == order; ++next) {
          if (row == nullptr) {
            left.push_back(wanted[next].position);
          } else {
            sink.Put(wanted[next].position, row);
          }
        }
      }
    }
    for (; next < wanted.size(); ++next) left.push_back(wanted[next].position);
    if (!sorted) std::sort(left.begin(), left.end());
    pending->Assign(std::move(left));
    return status;
  }

  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override {
    if (read_only_) return ReadOnlyError("insert");
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
    if (read_only_) return ReadOnlyError("erase");
    if (keys.empty()) return absl::OkStatus();
    const RocksdbBatchPtr batch(rocksdb_writebatch_create());
    for (const Key key : keys) {
      const uint64_t bytes = RocksdbKeyBytes(RocksdbKeyOrder(key));
      rocksdb_writebatch_delete_cf(batch.get(), table_.rows(),
                                   reinterpret_cast<const char*>(&bytes), sizeof(bytes));
    }
    MutexLock lock(&table_.table->write_mutex);
    return table_.database->Write(table_.table, batch.get());
  }

  std::unique_ptr<StoreCommit> NewCommit() override {
    return std::make_unique<RocksdbCommit>(table_.database);
  }
  bool AddTo(StoreCommit* commit, absl::Span<const Key> keys, const RowsView& rows,
             absl::Span<const Key> erased, absl::string_view record,
             const AgesChange* ages) override {
    auto* const ours = dynamic_cast<RocksdbCommit*>(commit);
    if (ours == nullptr || ours->database() != table_.database.get()) return false;
    ours->Add(table_.table, keys, rows, erased, record, ages);
    return true;
  }
  absl::StatusOr<std::string> StreamRecord() const override {
    return table_.database->GetRecord(table_.table->record.StreamKey());
  }
  absl::StatusOr<std::unique_ptr<RowAges>> OpenRowAges() override {
    if (read_only_) return ReadOnlyError("age");
    return OpenRocksdbRowAges(table_);
  }

  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override {
    return NewRocksdbScanner(table_, first, last);
  }

  bool AnswersFromMemory() const override { return false; }
  bool IsComplete() const override { return true; }

  StoreStats Stats() const override {
    StoreStats stats;
    stats.rows_exact = !table_.table->modified.load(std::memory_order_relaxed);
    stats.rows = stats.rows_exact ? table_.table->record.rows : Property("estimate-num-keys");
    stats.bytes = Property("live-sst-files-size") + Property("cur-size-all-mem-tables");
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

  // The row under gets[i], which is `key`'s. Null where there is none, or none that can be used:
  // the first such sets *status.
  const uint8_t* RowOf(const Gets& gets, size_t i, Key key, absl::Status* status) const {
    if (gets.error(i) != nullptr) {
      if (status->ok()) *status = RocksdbStatus(table_.Name(), gets.error(i));
      return nullptr;
    }
    size_t bytes = 0;
    const uint8_t* const row = gets.value(i, &bytes);
    if (row != nullptr && bytes != table_.row_bytes()) {
      if (status->ok()) *status = table_.WrongLength(key, bytes);
      return nullptr;
    }
    return row;
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
      const uint64_t key = RocksdbKeyBytes(RocksdbKeyOrder(keys[i]));
      rocksdb_writebatch_put_cf(batch.get(), table_.rows(), reinterpret_cast<const char*>(&key),
                                sizeof(key), reinterpret_cast<const char*>(rows.row(i)),
                                rows.row_bytes());
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

  absl::Status ReadOnlyError(absl::string_view what) const {
    return absl::FailedPreconditionError(absl::StrCat(table_.Name(),
                                                      " is open read-only, it cannot ", what,
                                                      " rows. Open it with `read_only` false."));
  }

  int64_t Property(absl::string_view name) const {
    uint64_t value = 0;
    const std::string property = absl::StrCat("rocksdb.", name);
    rocksdb_property_int_cf(table_.db(), table_.rows(), property.c_str(), &value);
    return static_cast<int64_t>(value);
  }

  const OpenRocksdbTable table_;
  const bool read_only_;
  const RocksdbReadOptionsPtr read_options_;
};

absl::StatusOr<RocksdbOptions> ParseOptions(const nlohmann::json& options, std::string* path) {
  if (const auto it = options.find("path"); it != options.end() && it->is_string()) {
    *path = it->get<std::string>();
  }
  if (path->empty()) {
    return absl::InvalidArgumentError("`rocksdb.path` is needed: the directory of the store.");
  }
  RocksdbOptions result;
  result.read_only = options.value("read_only", result.read_only);
  result.block_cache_bytes = options.value("block_cache_bytes", result.block_cache_bytes);
  return result;
}

// The table of spec.generation; a live one is made where the store may be written.
absl::StatusOr<OpenRocksdbTable> FindOrCreate(const TableSpec& spec, const std::string& path,
                                              const RocksdbOptions& options) {
  absl::StatusOr<std::shared_ptr<RocksdbDatabase>> database = OpenRocksdb(path, options);
  if (!database.ok()) return database.status();
  absl::StatusOr<RocksdbTable*> table = (*database)->FindTable(spec.name, spec.generation);
  if (absl::IsNotFound(table.status()) && (*database)->read_only()) {
    // Loaded since it was opened?
    database = ReopenRocksdb(*database, options);
    if (!database.ok()) return database.status();
    table = (*database)->FindTable(spec.name, spec.generation);
  } else if (absl::IsNotFound(table.status()) && !options.read_only &&
             absl::StartsWith(spec.generation, "live-")) {
    table = (*database)->CreateTable(spec);
  }
  if (!table.ok()) return table.status();
  return OpenRocksdbTable{*std::move(database), *table};
}

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenRocksdbStore(const TableSpec& spec,
                                                                 const nlohmann::json& options) {
  std::string path;
  const absl::StatusOr<RocksdbOptions> parsed = ParseOptions(options, &path);
  if (!parsed.ok()) return parsed.status();
  absl::StatusOr<OpenRocksdbTable> table = FindOrCreate(spec, path, *parsed);
  if (!table.ok()) return table.status();
  const RocksdbTableRecord& record = table->table->record;
  if (record.embedding_dim != spec.embedding_dim || record.row_format != spec.row_format) {
    return absl::InvalidArgumentError(
        absl::StrCat(table->Name(), " has embedding_dim ", record.embedding_dim, " and row_format ",
                     RowFormatName(record.row_format), ". Asked for: embedding_dim ",
                     spec.embedding_dim, " and row_format ", RowFormatName(spec.row_format)));
  }
  return std::make_unique<RocksdbStore>(*std::move(table), parsed->read_only);
}

absl::StatusOr<TableSpec> Describe(const std::string& name, const std::string& generation,
                                   const nlohmann::json& options) {
  std::string path;
  const absl::StatusOr<RocksdbOptions> parsed = ParseOptions(options, &path);
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<std::vector<RocksdbTableRecord>> tables = ReadRocksdbTables(path);
  if (!tables.ok()) return tables.status();
  const absl::StatusOr<RocksdbTableRecord> record =
      SelectRocksdbTable(path, *tables, name, generation);
  if (!record.ok()) return record.status();
  TableSpec spec;
  spec.name = record->name;
  spec.generation = record->generation;
  spec.embedding_dim = record->embedding_dim;
  spec.row_format = record->row_format;
  spec.rows = record->rows;
  spec.is_updated = record->is_modified;
  return spec;
}

const bool rocksdb_is_registered = RegisterStoreBackend(
    {"rocksdb",
     StoreRank::kPersistent,
     {{"path", FieldType::kPath, nullptr, "directory of the store"},
      {"read_only", FieldType::kBool, false,
       "take no lock and write nothing: any number of processes may"},
      {"block_cache_bytes", FieldType::kInt, RocksdbOptions().block_cache_bytes,
       "memory for blocks read, in bytes, for all tables of the store; 0: none"}},
     &OpenRocksdbStore,
     &Describe});

}  // namespace
}  // namespace tf_hps
