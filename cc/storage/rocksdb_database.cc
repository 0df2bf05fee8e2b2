#include "cc/storage/rocksdb_database.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <set>
#include <system_error>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_retry.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {
namespace {

constexpr size_t kMaxSpareBatchBytes = size_t{32} << 20;
constexpr char kDefaultColumnFamily[] = "default";
constexpr std::chrono::seconds kRecoveryTime(8);
// What RocksDB wants to see before it goes on: its write buffers, and some.
constexpr uintmax_t kSpaceToRecover = uintmax_t{160} << 20;

bool HasSpace(const std::string& path) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(path, error);
  return !error && space.available >= kSpaceToRecover;
}

absl::Status CreateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(RocksdbStoreName(path), " cannot be made: ", error.message()));
}

// Read-only: the column families that are loaded. Read-write: all, or RocksDB refuses.
std::vector<std::string> ColumnFamiliesToOpen(const RocksdbContents& contents, bool read_only) {
  if (!read_only) return contents.column_families;
  std::vector<std::string> names = {kDefaultColumnFamily};
  for (const RocksdbTableRecord& record : contents.tables) names.push_back(record.column_family);
  return names;
}

}  // namespace

RocksdbDatabase::RocksdbDatabase(std::string path, const RocksdbOptions& options)
    : path_(std::move(path)),
      read_only_(options.read_only),
      options_(MakeRocksdbOptions(options)),
      write_options_(rocksdb_writeoptions_create()) {}

RocksdbDatabase::~RocksdbDatabase() {
  if (read_only_ || records_ == nullptr) return;
  const RocksdbFlushOptionsPtr options(rocksdb_flushoptions_create());
  const auto flush = [&](rocksdb_column_family_handle_t* column_family) {
    RocksdbError error;  // of no consequence: the log has what was not flushed
    rocksdb_flush_cf(db_.get(), options.get(), column_family, error.out());
  };
  for (const auto& [identity, table] : tables_) {
    if (!table->changed_by().empty()) flush(table->rows.get());
    if (table->ages != nullptr) flush(table->ages.get());
  }
  flush(records_.get());
}

absl::StatusOr<std::unique_ptr<RocksdbDatabase>> RocksdbDatabase::Open(
    const std::string& path, const RocksdbOptions& options) {
  const absl::StatusOr<RocksdbPathState> state = InspectRocksdbPath(path);
  if (!state.ok()) return state.status();
  if (*state == RocksdbPathState::kDatabase) {
    return RetryRocksdbOpen(path, [&] { return OpenOnce(path, options); });
  }
  if (options.read_only && *state == RocksdbPathState::kMissing) {
    return absl::NotFoundError(absl::StrCat(RocksdbStoreName(path), " does not exist."));
  }
  if (options.read_only) {
    return absl::FailedPreconditionError(absl::StrCat(
        RocksdbStoreName(path), " is an empty directory, which cannot be opened read-only."));
  }
  if (absl::Status status = CreateDirectory(path); !status.ok()) return status;
  return OpenOnce(path, options);
}

absl::StatusOr<std::unique_ptr<RocksdbDatabase>> RocksdbDatabase::OpenOnce(
    const std::string& path, const RocksdbOptions& options) {
  std::unique_ptr<RocksdbDatabase> database(new RocksdbDatabase(path, options));
  const absl::StatusOr<RocksdbPathState> state = InspectRocksdbPath(path);
  if (!state.ok()) return state.status();

  absl::StatusOr<RocksdbContents> contents = RocksdbContents();
  contents->column_families = {kDefaultColumnFamily};
  if (*state == RocksdbPathState::kDatabase) {
    contents = LookIntoRocksdb(path);
    if (!contents.ok()) return contents.status();
    if (!options.read_only) {
      // First as a reader: a writer deletes files that a MANIFEST cut short no longer names.
      const auto looked_at = OpenOnce(path, {/*read_only=*/true, /*block_cache_bytes=*/0});
      if (!looked_at.ok()) return looked_at.status();
    }
  } else {
    rocksdb_options_set_create_if_missing(database->options_.get(), 1);
  }

  std::map<std::string, RocksdbColumnFamilyPtr> handles;
  const std::vector<std::string> names = ColumnFamiliesToOpen(*contents, options.read_only);
  if (absl::Status status = database->OpenColumnFamilies(names, &handles); !status.ok()) {
    return status;
  }
  if (!options.read_only && !contents->has_format_version) {
    absl::Status status =
        database->PutRecord(kRocksdbFormatVersionKey, absl::StrCat(kRocksdbFormatVersion));
    if (!status.ok()) return status;
  }
  if (absl::Status status = database->FindTables(std::move(handles)); !status.ok()) return status;
  return database;
}

absl::Status RocksdbDatabase::OpenColumnFamilies(
    const std::vector<std::string>& names, std::map<std::string, RocksdbColumnFamilyPtr>* handles) {
  std::vector<const char*> c_names;
  for (const std::string& name : names) c_names.push_back(name.c_str());
  const std::vector<const rocksdb_options_t*> options(names.size(), options_.get());
  std::vector<rocksdb_column_family_handle_t*> opened(names.size(), nullptr);
  RocksdbError error;
  if (read_only_) {
    db_.reset(rocksdb_open_for_read_only_column_families(
        options_.get(), path_.c_str(), static_cast<int>(names.size()), c_names.data(),
        options.data(), opened.data(), /*error_if_wal_file_exists=*/0, error.out()));
  } else {
    db_.reset(rocksdb_open_column_families(options_.get(), path_.c_str(),
                                           static_cast<int>(names.size()), c_names.data(),
                                           options.data(), opened.data(), error.out()));
  }
  if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  for (size_t i = 0; i < names.size(); ++i) (*handles)[names[i]].reset(opened[i]);
  records_ = std::move((*handles)[kDefaultColumnFamily]);
  handles->erase(kDefaultColumnFamily);
  return absl::OkStatus();
}

absl::Status RocksdbDatabase::FindTables(std::map<std::string, RocksdbColumnFamilyPtr> handles) {
  const absl::StatusOr<RocksdbContents> contents =
      ReadRocksdbContents(path_, db_.get(), records_.get());
  if (!contents.ok()) return contents.status();
  MutexLock lock(&mutex_);
  for (const RocksdbTableRecord& record : contents->tables) {
    const auto handle = handles.find(record.column_family);
    // Loaded between the look and the open: a read-only database learns of it when it is opened
    // anew.
    if (handle == handles.end()) continue;
    auto table = std::make_unique<RocksdbTable>(record, handle->second.release());
    handles.erase(handle);
    if (const auto ages = handles.find(record.AgesFamily()); ages != handles.end()) {
      table->ages = std::move(ages->second);
      handles.erase(ages);
    }
    if (absl::Status status = CheckEnds(*table); !status.ok()) return status;
    tables_[{record.name, record.generation}] = std::move(table);
  }
  return read_only_ ? absl::OkStatus() : DropHalfLoaded(&handles);
}

// A MANIFEST that lost its tail opens well, without the files added last.
absl::Status RocksdbDatabase::CheckEnds(const RocksdbTable& table) const {
  const RocksdbTableRecord& record = table.record;
  if (!record.changed_by.empty() || !record.ends.has_value()) return absl::OkStatus();
  const RocksdbReadOptionsPtr options(rocksdb_readoptions_create());
  for (const Key key : {record.ends->first, record.ends->second}) {
    const RocksdbRowKey bytes(key);
    RocksdbError error;
    rocksdb_pinnableslice_t* const row = rocksdb_get_pinned_cf(
        db_.get(), options.get(), table.rows.get(), bytes.data(), bytes.size(), error.out());
    const bool found = row != nullptr;
    if (found) rocksdb_pinnableslice_destroy(row);
    const std::string where = absl::StrCat(RocksdbStoreName(path_), ", table \"", record.name,
                                           "\", generation ", record.generation);
    if (error) return RocksdbStatus(where, error.text());
    if (!found) {
      return absl::DataLossError(absl::StrCat(where, ": the row of key ", key,
                                              ", one end of what was loaded, is gone. Was a file "
                                              "of the store cut short?"));
    }
  }
  return absl::OkStatus();
}

absl::Status RocksdbDatabase::DropHalfLoaded(
    std::map<std::string, RocksdbColumnFamilyPtr>* handles) {
  for (const auto& [name, handle] : *handles) {
    if (!absl::StartsWith(name, kRocksdbRowsPrefix) &&
        !absl::StartsWith(name, kRocksdbAgesPrefix)) {
      continue;
    }
    RocksdbError error;
    rocksdb_drop_column_family(db_.get(), handle.get(), error.out());
    if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  }
  return absl::OkStatus();
}

absl::Status RocksdbDatabase::PutRecord(absl::string_view key, absl::string_view value) const {
  RocksdbWriteOptionsPtr synced(rocksdb_writeoptions_create());
  rocksdb_writeoptions_set_sync(synced.get(), 1);
  RocksdbError error;
  rocksdb_put_cf(db_.get(), synced.get(), records_.get(), key.data(), key.size(), value.data(),
                 value.size(), error.out());
  if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  return absl::OkStatus();
}

std::vector<RocksdbTableRecord> RocksdbDatabase::Tables() const {
  MutexLock lock(&mutex_);
  std::vector<RocksdbTableRecord> records;
  for (const auto& [identity, table] : tables_) {
    records.push_back(table->record);
    records.back().changed_by = table->changed_by();
  }
  return records;
}

absl::StatusOr<RocksdbTable*> RocksdbDatabase::FindTable(const std::string& name,
                                                         const std::string& generation) const {
  const absl::StatusOr<RocksdbTableRecord> record =
      SelectRocksdbTable(path_, Tables(), name, generation);
  if (!record.ok()) return record.status();
  MutexLock lock(&mutex_);
  return tables_.at({record->name, record->generation}).get();
}

absl::StatusOr<RocksdbTable*> RocksdbDatabase::CreateTable(const TableSpec& spec,
                                                           std::optional<std::string> over) {
  MutexLock lock(&mutex_);
  std::unique_ptr<RocksdbTable>& table = tables_[{spec.name, spec.generation}];
  if (table != nullptr) return table.get();

  RocksdbTableRecord record;
  record.name = spec.name;
  record.generation = spec.generation;
  record.column_family = absl::StrCat(kRocksdbRowsPrefix, spec.name, "/", spec.generation);
  record.embedding_dim = spec.embedding_dim;
  record.row_format = spec.row_format;
  record.over = std::move(over);
  for (const auto& [identity, other] : tables_) {
    if (other != nullptr) record.sequence = std::max(record.sequence, other->record.sequence);
  }
  ++record.sequence;

  RocksdbError error;
  RocksdbColumnFamilyPtr handle(rocksdb_create_column_family(
      db_.get(), options_.get(), record.column_family.c_str(), error.out()));
  absl::Status status = error ? RocksdbStatus(RocksdbStoreName(path_), error.text())
                              : PutRecord(record.TableKey(), record.ToJson());
  if (!status.ok()) {
    tables_.erase({spec.name, spec.generation});
    if (handle == nullptr) return status;
    // Or the next attempt finds the name taken.
    RocksdbError drop_error;
    rocksdb_drop_column_family(db_.get(), handle.get(), drop_error.out());
    return status;
  }
  table = std::make_unique<RocksdbTable>(std::move(record), handle.release());
  return table.get();
}

absl::Status RocksdbDatabase::Write(RocksdbTable* table, rocksdb_writebatch_t* batch) const {
  if (table->changed_by() != kRocksdbChangedAnyhow) {
    AddRecord(batch, table->record.ModifiedKey(), kRocksdbChangedAnyhow);
  }
  ForgetAges(batch, *table);
  absl::Status status = WriteBatch(
      batch, absl::StrCat(RocksdbStoreName(path_), ", table \"", table->record.name, "\""));
  if (status.ok()) table->SetChangedBy(kRocksdbChangedAnyhow);
  return status;
}

absl::Status RocksdbDatabase::WriteTogether(absl::Span<const Changed> tables,
                                            rocksdb_writebatch_t* batch) const {
  std::vector<std::string> changed_by;
  for (const auto& [table, position] : tables) {
    const bool is_of_stream =
        !position.stream.empty() && table->changed_by() != kRocksdbChangedAnyhow;
    changed_by.push_back(is_of_stream ? UpdatePositionText(position.stream, position.number)
                                      : std::string(kRocksdbChangedAnyhow));
    AddRecord(batch, table->record.ModifiedKey(), changed_by.back());
  }
  absl::Status status = WriteBatch(batch, RocksdbStoreName(path_));
  if (!status.ok()) return status;
  for (size_t i = 0; i < tables.size(); ++i) tables[i].table->SetChangedBy(changed_by[i]);
  return absl::OkStatus();
}

RocksdbBatchPtr RocksdbDatabase::TakeBatch() {
  MutexLock lock(&mutex_);
  if (spare_batch_ != nullptr) return std::move(spare_batch_);
  return RocksdbBatchPtr(rocksdb_writebatch_create());
}

void RocksdbDatabase::GiveBack(RocksdbBatchPtr batch) {
  size_t bytes = 0;
  rocksdb_writebatch_data(batch.get(), &bytes);
  if (bytes > kMaxSpareBatchBytes) return;
  rocksdb_writebatch_clear(batch.get());
  MutexLock lock(&mutex_);
  spare_batch_ = std::move(batch);
}

absl::Status RocksdbDatabase::WriteBatch(rocksdb_writebatch_t* batch,
                                         const std::string& where) const {
  const auto give_up = std::chrono::steady_clock::now() + kRecoveryTime;
  while (true) {
    RocksdbError error;
    // Not synced: what a crash of the machine (not of the process) takes, the update's source has.
    rocksdb_write(db_.get(), write_options_.get(), batch, error.out());
    if (!error) return absl::OkStatus();
    const absl::Status status = RocksdbStatus(where, error.text());
    // After a full disk RocksDB takes no writes until its own check, every 5 seconds, finds space.
    if (!absl::IsResourceExhausted(status) || !HasSpace(path_) ||
        std::chrono::steady_clock::now() > give_up) {
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

absl::StatusOr<bool> RocksdbDatabase::OpenAges(RocksdbTable* table) const {
  const RocksdbTableRecord& record = table->record;
  RocksdbError error;
  if (table->ages != nullptr) {
    const absl::StatusOr<std::string> kept = GetRecord(record.GrowthKey());
    if (!kept.ok()) return kept.status();
    if (!kept->empty()) return true;
    rocksdb_drop_column_family(db_.get(), table->ages.get(), error.out());
    if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
    table->ages.reset();
  }
  table->ages.reset(rocksdb_create_column_family(db_.get(), options_.get(),
                                                 record.AgesFamily().c_str(), error.out()));
  if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  return false;
}

void RocksdbDatabase::ForgetAges(rocksdb_writebatch_t* batch, const RocksdbTable& table) const {
  if (table.ages == nullptr) return;
  const std::string key = table.record.GrowthKey();
  rocksdb_writebatch_delete_cf(batch, records_.get(), key.data(), key.size());
}

void RocksdbDatabase::AddRecord(rocksdb_writebatch_t* batch, absl::string_view key,
                                absl::string_view value) const {
  rocksdb_writebatch_put_cf(batch, records_.get(), key.data(), key.size(), value.data(),
                            value.size());
}

absl::StatusOr<std::string> RocksdbDatabase::GetRecord(absl::string_view key) const {
  const RocksdbReadOptionsPtr options(rocksdb_readoptions_create());
  RocksdbError error;
  size_t size = 0;
  const RocksdbMalloced<char> value(rocksdb_get_cf(db_.get(), options.get(), records_.get(),
                                                   key.data(), key.size(), &size, error.out()));
  if (error) return RocksdbStatus(RocksdbStoreName(path_), error.text());
  return value == nullptr ? std::string() : std::string(value.get(), size);
}

absl::Status RocksdbDatabase::Checkpoint(const std::string& target) const {
  RocksdbError error;
  RocksdbCheckpointPtr checkpoint(rocksdb_checkpoint_object_create(db_.get(), error.out()));
  if (!error) {
    // A writer flushes its memtables; a reader cannot, and copies the log.
    const uint64_t log_size_for_flush = read_only_ ? std::numeric_limits<uint64_t>::max() : 0;
    rocksdb_checkpoint_create(checkpoint.get(), target.c_str(), log_size_for_flush, error.out());
  }
  if (error) {
    return RocksdbStatus(absl::StrCat("copying ", RocksdbStoreName(path_), " to \"", target, "\""),
                         error.text());
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
