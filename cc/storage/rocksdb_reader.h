#ifndef TF_HPS_CC_STORAGE_ROCKSDB_READER_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_READER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_row_iterator.h"

namespace tf_hps {

// A database as it is when opened, for tools: takes no lock and writes nothing. Any number of
// threads.
//
// Errors are RocksDB's words, empty where there is none: a Python module without TensorFlow, and so
// without absl::Status, is made of this.
class RocksdbReader {
 public:
  using Items = std::vector<std::pair<std::string, std::string>>;

  // Which files of rows are opened with the database, with their indices and filters, 1 % of them.
  // One that is open is read to its end, whatever a writer in another process makes of it.
  enum class Files {
    kNone,      // and no rows: the default family alone
    kWhenRead,  // and up to 16
    kAll,
  };

  // Where keys stand in a column family that has rows, and whether they do.
  enum class Presence : uint8_t { kAbsent, kStored, kErased };

  static std::string Open(const std::string& path, Files files,
                          std::unique_ptr<RocksdbReader>* reader);

  // Of all column families but the default one.
  const std::vector<std::string>& families() const { return names_; }
  // Null when there is none of that name, or when it was not opened.
  rocksdb_column_family_handle_t* family(const std::string& name) const;
  rocksdb_t* db() const { return db_.get(); }
  // What a family's files take on the disk.
  uint64_t DiskBytes(rocksdb_column_family_handle_t* family) const;

  // Of the default family: a value, and the first `most` keys with `prefix` and their values.
  std::string Get(absl::string_view key, std::optional<std::string>* value) const;
  std::string GetItems(absl::string_view prefix, size_t most, Items* items) const;

  // The rows of any keys into rows[i * row_bytes], those that are not stored left as they are. On
  // several threads: they wait for the disk.
  std::string GetRows(const std::string& family, absl::Span<const Key> keys, size_t row_bytes,
                      uint8_t* rows, Presence* presence) const;

 private:
  RocksdbReader() = default;

  std::string GetSomeRows(rocksdb_column_family_handle_t* rows_of, const std::string& family,
                          absl::Span<const Key> keys, size_t row_bytes, uint8_t* rows,
                          Presence* presence) const;

  RocksdbReadOptionsPtr options_;
  std::vector<std::string> names_;
  RocksdbPtr db_;
  // By name; gone before the database is.
  std::map<std::string, RocksdbColumnFamilyPtr> families_;
};

// The rows of a column family in the order of their keys. One thread at a time.
class RocksdbRowCursor {
 public:
  RocksdbRowCursor(std::shared_ptr<const RocksdbReader> reader, const std::string& family,
                   size_t row_bytes, Key first, Key last);

  // The next rows, at most `most`; fewer at the end only. An empty value is an erased key, whose
  // row is zeros.
  std::string Next(size_t most, Key* keys, uint8_t* rows, bool* erased, size_t* count);

 private:
  const std::shared_ptr<const RocksdbReader> reader_;
  const std::string family_;
  const size_t row_bytes_;
  RocksdbRowIterator it_;  // goes before the database
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_READER_H_
