#include "cc/storage/rocksdb_contents.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_options.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {
namespace {

// What RocksDB writes before CURRENT makes a database of it: left behind by a process that was
// killed just then, in the way of nobody.
bool ComesBeforeCurrent(const std::string& name) {
  return name == "LOCK" || name == "IDENTITY" || absl::StartsWith(name, "LOG") ||
         absl::StartsWith(name, "MANIFEST-") || absl::EndsWith(name, ".dbtmp");
}

absl::StatusOr<std::vector<std::string>> ListColumnFamilies(const std::string& path,
                                                            const rocksdb_options_t* options) {
  RocksdbError error;
  size_t count = 0;
  char** const names = rocksdb_list_column_families(options, path.c_str(), &count, error.out());
  std::vector<std::string> result(names, names + count);
  rocksdb_list_column_families_destroy(names, count);  // after an error too
  if (error) return RocksdbStatus(RocksdbStoreName(path), error.text());
  return result;
}

bool HasTableFiles(const std::string& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().extension() == ".sst") return true;
  }
  return false;
}

absl::Status CheckContents(const std::string& path, const RocksdbContents& contents) {
  if (!contents.has_format_version) {
    const bool bare = contents.column_families.size() == 1 && !HasTableFiles(path);
    if (bare && contents.tables.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        RocksdbStoreName(path), " is a RocksDB database, but no tf_hps store: it has no key \"",
        kRocksdbFormatVersionKey, "\", or its MANIFEST was cut short."));
  }
  for (const RocksdbTableRecord& record : contents.tables) {
    if (std::find(contents.column_families.begin(), contents.column_families.end(),
                  record.column_family) == contents.column_families.end()) {
      return absl::DataLossError(
          absl::StrCat(RocksdbStoreName(path), ": the rows of table \"", record.name,
                       "\", generation ", record.generation, ", are gone: the database has no \"",
                       record.column_family, "\". Was a file of it cut short?"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RocksdbPathState> InspectRocksdbPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    if (error && error != std::errc::no_such_file_or_directory) {
      return absl::PermissionDeniedError(
          absl::StrCat(RocksdbStoreName(path), ": ", error.message()));
    }
    return RocksdbPathState::kMissing;
  }
  if (!std::filesystem::is_directory(status)) {
    return absl::InvalidArgumentError(absl::StrCat(
        RocksdbStoreName(path), " is a file. `rocksdb.path` names the directory of a store."));
  }
  if (std::filesystem::exists(std::filesystem::path(path) / "CURRENT", error)) {
    return RocksdbPathState::kDatabase;
  }
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (ComesBeforeCurrent(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(RocksdbStoreName(path), " is a directory with other files (e.g. \"", name,
                     "\") and no RocksDB database: it has no file CURRENT."));
  }
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat(RocksdbStoreName(path), ": ", error.message()));
  }
  return RocksdbPathState::kEmpty;
}

absl::StatusOr<RocksdbContents> ReadRocksdbContents(const std::string& path, rocksdb_t* db,
                                                    rocksdb_column_family_handle_t* records) {
  RocksdbContents contents;
  std::map<std::string, std::string> modified;  // by ModifiedKey()
  const RocksdbReadOptionsPtr read_options(rocksdb_readoptions_create());
  const RocksdbIteratorPtr it(rocksdb_create_iterator_cf(db, read_options.get(), records));
  const absl::string_view prefix = "tf_hps/";
  for (rocksdb_iter_seek(it.get(), prefix.data(), prefix.size()); rocksdb_iter_valid(it.get());
       rocksdb_iter_next(it.get())) {
    size_t size = 0;
    const char* data = rocksdb_iter_key(it.get(), &size);
    const absl::string_view key(data, size);
    if (!absl::StartsWith(key, prefix)) break;
    data = rocksdb_iter_value(it.get(), &size);
    const absl::string_view value(data, size);

    if (key == kRocksdbFormatVersionKey) {
      int version = 0;
      if (!absl::SimpleAtoi(value, &version) || version < kRocksdbFormatVersion ||
          version > kRocksdbFormatVersionOfDeltas) {
        return absl::FailedPreconditionError(absl::StrCat(
            RocksdbStoreName(path), " has format version ", value, ", this tf_hps reads versions ",
            kRocksdbFormatVersion, " to ", kRocksdbFormatVersionOfDeltas,
            ". Open it with the tf_hps that wrote it, or a newer one."));
      }
      contents.has_format_version = true;
    } else if (absl::StartsWith(key, kRocksdbTablePrefix)) {
      absl::StatusOr<RocksdbTableRecord> record = ParseRocksdbTableRecord(key, value);
      if (!record.ok()) {
        return absl::DataLossError(
            absl::StrCat(RocksdbStoreName(path), ": ", record.status().message()));
      }
      contents.tables.push_back(*std::move(record));
    } else if (absl::StartsWith(key, "tf_hps/modified/")) {
      modified.emplace(key, value);
    }
  }
  RocksdbError error;
  rocksdb_iter_get_error(it.get(), error.out());
  if (error) return RocksdbStatus(RocksdbStoreName(path), error.text());
  for (RocksdbTableRecord& record : contents.tables) {
    const auto known = modified.find(record.ModifiedKey());
    if (known != modified.end()) record.changed_by = known->second;
  }
  return contents;
}

absl::StatusOr<RocksdbContents> LookIntoRocksdb(const std::string& path) {
  const RocksdbOptionsPtr options = MakeRocksdbOptions({/*read_only=*/true});
  const absl::StatusOr<std::vector<std::string>> names = ListColumnFamilies(path, options.get());
  if (!names.ok()) return names.status();

  RocksdbError error;
  const char* const default_name = "default";
  const rocksdb_options_t* const default_options = options.get();
  rocksdb_column_family_handle_t* handle = nullptr;
  const RocksdbPtr db(rocksdb_open_for_read_only_column_families(
      options.get(), path.c_str(), 1, &default_name, &default_options, &handle,
      /*error_if_wal_file_exists=*/0, error.out()));
  if (error) return RocksdbStatus(RocksdbStoreName(path), error.text());
  const RocksdbColumnFamilyPtr records(handle);

  absl::StatusOr<RocksdbContents> contents = ReadRocksdbContents(path, db.get(), records.get());
  if (!contents.ok()) return contents.status();
  contents->column_families = *names;
  if (absl::Status status = CheckContents(path, *contents); !status.ok()) return status;
  return contents;
}

}  // namespace tf_hps
