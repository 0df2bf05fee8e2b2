#ifndef TF_HPS_CC_STORAGE_ROCKSDB_TABLE_RECORD_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_TABLE_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/key.h"
#include "cc/common/row_format.h"

namespace tf_hps {

// The keys and values of docs/formats.md, "A RocksDB store".
inline constexpr int kRocksdbFormatVersion = 1;
// Of a store that deltas are in: who reads version 1 alone would take one for a whole table.
inline constexpr int kRocksdbFormatVersionOfDeltas = 2;
inline constexpr absl::string_view kRocksdbFormatVersionKey = "tf_hps/format_version";
inline constexpr absl::string_view kRocksdbTablePrefix = "tf_hps/table/";
inline constexpr absl::string_view kRocksdbRowsPrefix = "rows/";
inline constexpr absl::string_view kRocksdbAgesPrefix = "ages/";
// Under ModifiedKey(): rows were written or erased by something else than the commits of one
// stream.
inline constexpr absl::string_view kRocksdbChangedAnyhow = "1";

// What a store says about one generation of a table.
struct RocksdbTableRecord {
  std::string name;
  std::string generation;
  std::string column_family;
  int64_t embedding_dim = 0;
  RowFormat row_format = RowFormat::kFloat32;
  int64_t rows = 0;  // when it was loaded
  // Of a load with rows: its first and last key.
  std::optional<std::pair<Key, Key>> ends;
  int64_t sequence = 0;
  // What stands under ModifiedKey(); empty: nothing, the rows are as they were loaded.
  std::string changed_by;
  // Over a table of another store, whose `changed_by` it was: has the rows that changed since, and
  // empty values for keys that were erased.
  std::optional<std::string> over;
  // Of a delta: the same over that generation of the table in the same store. `rows` counts those
  // of both, `ends` are of the delta's own.
  std::optional<std::string> base;

  // Whether an empty value says that its key was erased.
  bool has_erased_keys() const { return over.has_value() || base.has_value(); }
  size_t row_bytes() const { return RowBytes(row_format, embedding_dim); }
  std::string TableKey() const;
  std::string ModifiedKey() const;
  std::string StreamKey() const;
  std::string GrowthKey() const;
  // The column family of the rows' ages, where the table's growth is bounded.
  std::string AgesFamily() const;
  // The value under TableKey(), created now.
  std::string ToJson() const;
};

// DataLoss, with the key, when it is no record.
absl::StatusOr<RocksdbTableRecord> ParseRocksdbTableRecord(absl::string_view key,
                                                           absl::string_view value);

// The record of `name` and `generation` (empty: the newest of that name). NotFound lists the tables
// there are.
absl::StatusOr<RocksdbTableRecord> SelectRocksdbTable(
    absl::string_view path, const std::vector<RocksdbTableRecord>& records, absl::string_view name,
    absl::string_view generation);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_TABLE_RECORD_H_
