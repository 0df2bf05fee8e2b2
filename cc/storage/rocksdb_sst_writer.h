#ifndef TF_HPS_CC_STORAGE_ROCKSDB_SST_WRITER_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_SST_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/storage/rocksdb_c.h"

namespace tf_hps {

// Writes rows, in the order of their keys, as one of RocksDB's table files outside of any database,
// for a store to ingest. One thread at a time; several files at once.
//
// Errors are RocksDB's words, empty where there is none: a Python module without TensorFlow, and so
// without absl::Status, is made of this. After an error the file is good for nothing.
class RocksdbSstWriter {
 public:
  // rocksdb_no_compression or rocksdb_lz4_compression.
  explicit RocksdbSstWriter(int compression);

  std::string Open(const std::string& path);

  // Appends `rows`, row_bytes each. Keys ascend, from call to call too. Of a disk that is full,
  // RocksDB 7.8 may say so in Finish() only. `erased`: null, or of a delta whether keys[i] is
  // erased: then its row is not looked at.
  std::string Add(absl::Span<const Key> keys, const uint8_t* rows, size_t row_bytes,
                  const bool* erased = nullptr);

  // Writes the file's end, and syncs it. An error if it has no rows.
  std::string Finish();

 private:
  using EnvOptionsPtr =
      std::unique_ptr<rocksdb_envoptions_t, RocksdbDestroy<rocksdb_envoptions_destroy>>;
  using WriterPtr =
      std::unique_ptr<rocksdb_sstfilewriter_t, RocksdbDestroy<rocksdb_sstfilewriter_destroy>>;

  const RocksdbOptionsPtr options_;
  const EnvOptionsPtr env_options_;
  const WriterPtr writer_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_SST_WRITER_H_
