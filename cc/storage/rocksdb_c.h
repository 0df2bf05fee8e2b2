#ifndef TF_HPS_CC_STORAGE_ROCKSDB_C_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_C_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "rocksdb/c.h"

namespace tf_hps {

// Owners for what RocksDB's C API hands out. The C API only: its C++ headers would tie the library
// to one compiler ABI.
template <auto Destroy>
struct RocksdbDestroy {
  template <typename T>
  void operator()(T* p) const {
    Destroy(p);
  }
};

using RocksdbOptionsPtr =
    std::unique_ptr<rocksdb_options_t, RocksdbDestroy<rocksdb_options_destroy>>;
using RocksdbReadOptionsPtr =
    std::unique_ptr<rocksdb_readoptions_t, RocksdbDestroy<rocksdb_readoptions_destroy>>;
using RocksdbWriteOptionsPtr =
    std::unique_ptr<rocksdb_writeoptions_t, RocksdbDestroy<rocksdb_writeoptions_destroy>>;
using RocksdbFlushOptionsPtr =
    std::unique_ptr<rocksdb_flushoptions_t, RocksdbDestroy<rocksdb_flushoptions_destroy>>;
using RocksdbTableOptionsPtr = std::unique_ptr<rocksdb_block_based_table_options_t,
                                               RocksdbDestroy<rocksdb_block_based_options_destroy>>;
using RocksdbCachePtr = std::unique_ptr<rocksdb_cache_t, RocksdbDestroy<rocksdb_cache_destroy>>;
using RocksdbBatchPtr =
    std::unique_ptr<rocksdb_writebatch_t, RocksdbDestroy<rocksdb_writebatch_destroy>>;
using RocksdbIteratorPtr =
    std::unique_ptr<rocksdb_iterator_t, RocksdbDestroy<rocksdb_iter_destroy>>;
using RocksdbCheckpointPtr =
    std::unique_ptr<rocksdb_checkpoint_t, RocksdbDestroy<rocksdb_checkpoint_object_destroy>>;
using RocksdbColumnFamilyPtr =
    std::unique_ptr<rocksdb_column_family_handle_t,
                    RocksdbDestroy<rocksdb_column_family_handle_destroy>>;
// Every column family handle must be gone before: closing asserts it and ends the process.
using RocksdbPtr = std::unique_ptr<rocksdb_t, RocksdbDestroy<rocksdb_close>>;

// Memory from RocksDB's malloc: values, names.
template <typename T>
using RocksdbMalloced = std::unique_ptr<T, RocksdbDestroy<rocksdb_free>>;

// The `char** errptr` of a call, freed when it goes.
class RocksdbError {
 public:
  RocksdbError() = default;
  ~RocksdbError() { rocksdb_free(text_); }
  RocksdbError(const RocksdbError&) = delete;
  RocksdbError& operator=(const RocksdbError&) = delete;

  char** out() { return &text_; }
  explicit operator bool() const { return text_ != nullptr; }
  absl::string_view text() const { return text_ == nullptr ? "" : text_; }

 private:
  char* text_ = nullptr;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_C_H_
