#ifndef TF_HPS_TESTS_CC_STORAGE_ROCKSDB_FIXTURE_H_
#define TF_HPS_TESTS_CC_STORAGE_ROCKSDB_FIXTURE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_table_record.h"
#include "cc/storage/store_backend.h"
#include "tests/cc/storage/store_verbs.h"

namespace tf_hps {

// A row as it is stored.
inline std::string StoredRow(const Row& row) {
  return std::string(reinterpret_cast<const char*>(row.data()), sizeof(row));
}

// Writes a store as a loader does it, byte for byte as docs/formats.md has it, on the C API alone.
class RawStore {
 public:
  explicit RawStore(const std::string& path) : options_(rocksdb_options_create()) {
    rocksdb_options_set_create_if_missing(options_.get(), 1);
    rocksdb_options_set_info_log_level(options_.get(), 4);
    size_t count = 0;
    RocksdbError none;
    char** names = rocksdb_list_column_families(options_.get(), path.c_str(), &count, none.out());
    std::vector<const char*> open_names = {"default"};
    if (!none) open_names.assign(names, names + count);
    const std::vector<const rocksdb_options_t*> options(open_names.size(), options_.get());
    std::vector<rocksdb_column_family_handle_t*> handles(open_names.size());
    RocksdbError error;
    db_.reset(rocksdb_open_column_families(options_.get(), path.c_str(), open_names.size(),
                                           open_names.data(), options.data(), handles.data(),
                                           error.out()));
    if (error) ADD_FAILURE() << error.text();
    for (auto* handle : handles) handles_.emplace_back(handle);
    rocksdb_list_column_families_destroy(names, count);
  }

  void PutRecord(const std::string& key, const std::string& value) {
    Put(handles_[0].get(), key, value);
  }

  // A column family with these keys and values, on disk.
  void WriteRows(const std::string& column_family,
                 const std::vector<std::pair<Key, std::string>>& rows) {
    RocksdbError error;
    handles_.emplace_back(rocksdb_create_column_family(db_.get(), options_.get(),
                                                       column_family.c_str(), error.out()));
    ASSERT_FALSE(error) << error.text();
    for (const auto& [key, row] : rows) {
      std::string bytes(8, '\0');
      const uint64_t order = static_cast<uint64_t>(key) ^ (1ULL << 63);
      for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(order >> (56 - 8 * i));
      Put(handles_.back().get(), bytes, row);
    }
    const RocksdbFlushOptionsPtr flush(rocksdb_flushoptions_create());
    RocksdbError flush_error;
    rocksdb_flush_cf(db_.get(), flush.get(), handles_.back().get(), flush_error.out());
    ASSERT_FALSE(flush_error) << flush_error.text();
  }

  // A column family of table files, which go into the store.
  void IngestRows(const std::string& column_family, const std::vector<std::string>& files) {
    RocksdbError error;
    handles_.emplace_back(rocksdb_create_column_family(db_.get(), options_.get(),
                                                       column_family.c_str(), error.out()));
    ASSERT_FALSE(error) << error.text();
    std::vector<const char*> names;
    for (const std::string& file : files) names.push_back(file.c_str());
    const std::unique_ptr<rocksdb_ingestexternalfileoptions_t,
                          RocksdbDestroy<rocksdb_ingestexternalfileoptions_destroy>>
        options(rocksdb_ingestexternalfileoptions_create());
    rocksdb_ingestexternalfileoptions_set_move_files(options.get(), 1);
    RocksdbError ingest_error;
    rocksdb_ingest_external_file_cf(db_.get(), handles_.back().get(), names.data(), names.size(),
                                    options.get(), ingest_error.out());
    ASSERT_FALSE(ingest_error) << ingest_error.text();
  }

  // A whole load: `rows` rows of 4 float32, RowOf(key + shift) under keys 0, 1, ...
  void LoadTable(const std::string& name, const std::string& generation, int sequence, int rows,
                 float shift = 0) {
    std::vector<std::pair<Key, std::string>> values;
    for (int i = 0; i < rows; ++i) {
      values.emplace_back(i, StoredRow(RowOf(i + shift)));
    }
    WriteRows(absl::StrCat("rows/", name, "/", generation), values);
    PutTable(name, generation, sequence, rows);
  }

  // Rows of 4 float32 over those of generation `base` of movie_id; no bytes: the key is erased. The
  // table has `rows` rows then.
  void LoadDelta(const std::string& generation, const std::string& base, int sequence, int rows,
                 const std::vector<std::pair<Key, std::string>>& entries) {
    const std::string column_family = absl::StrCat("rows/movie_id/", generation);
    WriteRows(column_family, entries);
    PutRecord("tf_hps/format_version", "2");
    PutRecord(absl::StrCat("tf_hps/table/movie_id/", generation),
              absl::StrCat(R"({"column_family": ")", column_family,
                           R"(", "embedding_dim": 4, "row_format": "float32", "rows": )", rows,
                           R"(, "min_key": )", entries.front().first, R"(, "max_key": )",
                           entries.back().first, R"(, "sequence": )", sequence,
                           R"(, "created": "2026-11-20T23:40:00Z", "base": ")", base, R"("})"));
  }

  // What makes a table of 4 float32 under keys 0, 1, ... of its column family.
  void PutTable(const std::string& name, const std::string& generation, int sequence, int rows) {
    const std::string column_family = absl::StrCat("rows/", name, "/", generation);
    PutRecord("tf_hps/format_version", "1");
    PutRecord(absl::StrCat("tf_hps/table/", name, "/", generation),
              absl::StrCat(R"({"column_family": ")", column_family,
                           R"(", "embedding_dim": 4, "row_format": "float32", "rows": )", rows,
                           R"(, "min_key": 0, "max_key": )", rows - 1, R"(, "sequence": )",
                           sequence, R"(, "created": "2026-11-20T23:40:00Z"})"));
  }

 private:
  void Put(rocksdb_column_family_handle_t* handle, const std::string& key,
           const std::string& value) {
    const RocksdbWriteOptionsPtr options(rocksdb_writeoptions_create());
    RocksdbError error;
    rocksdb_put_cf(db_.get(), options.get(), handle, key.data(), key.size(), value.data(),
                   value.size(), error.out());
    ASSERT_FALSE(error) << error.text();
  }

  const RocksdbOptionsPtr options_;
  RocksdbPtr db_;
  std::vector<RocksdbColumnFamilyPtr> handles_;
};

constexpr bool kReadOnly = true;
constexpr bool kReadWrite = false;

// Table movie_id of float32 through the registered backend.
inline absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenTable(const std::string& path,
                                                                 bool read_only,
                                                                 const std::string& generation,
                                                                 int64_t embedding_dim = 4) {
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind != "rocksdb") continue;
    TableSpec spec;
    spec.name = "movie_id";
    spec.generation = generation;
    spec.embedding_dim = embedding_dim;
    return backend.open(spec, {{"path", path}, {"read_only", read_only}});
  }
  return absl::InternalError("no backend rocksdb");
}

inline absl::StatusOr<TableSpec> DescribeTable(const std::string& path, bool read_only,
                                               const std::string& name,
                                               const std::string& generation = "") {
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind != "rocksdb") continue;
    return backend.describe(name, generation, {{"path", path}, {"read_only", read_only}});
  }
  return absl::InternalError("no backend rocksdb");
}

// The names in a directory, to see that nothing was made or changed.
inline std::vector<std::string> Files(const std::string& dir) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    files.push_back(absl::StrCat(
        entry.path().string(), " ",
        entry.is_regular_file() ? static_cast<int64_t>(entry.file_size()) : int64_t{-1}, " ",
        entry.last_write_time().time_since_epoch().count()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

MATCHER_P(HasCode, code, "") {
  *result_listener << arg;
  return arg.code() == code;
}
MATCHER_P(Says, text, "") {
  *result_listener << arg;
  return arg.message().find(text) != absl::string_view::npos;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_ROCKSDB_FIXTURE_H_
