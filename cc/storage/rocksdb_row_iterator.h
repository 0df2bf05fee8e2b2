#ifndef TF_HPS_CC_STORAGE_ROCKSDB_ROW_ITERATOR_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_ROW_ITERATOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_key.h"

namespace tf_hps {

// The rows of [first, last] of a column family in the order of their keys, read past the block
// cache. RocksDB has pointers into it: it stays where it is.
class RocksdbRowIterator {
 public:
  RocksdbRowIterator(Key first, Key last)
      : options_(rocksdb_readoptions_create()),
        first_(first),
        end_(RocksdbRowKey::OfOrder(RocksdbKeyOrder(last) + 1)) {
    // The bound is exclusive, and nothing follows INT64_MAX.
    if (RocksdbKeyOrder(last) != ~uint64_t{0}) {
      rocksdb_readoptions_set_iterate_upper_bound(options_.get(), end_.data(), end_.size());
    }
    rocksdb_readoptions_set_readahead_size(options_.get(), kReadahead);
    rocksdb_readoptions_set_fill_cache(options_.get(), 0);
  }
  RocksdbRowIterator(const RocksdbRowIterator&) = delete;
  RocksdbRowIterator& operator=(const RocksdbRowIterator&) = delete;

  // At the first row of the family at a moment, that of this call without a snapshot.
  void Begin(rocksdb_t* db, rocksdb_column_family_handle_t* family,
             const rocksdb_snapshot_t* snapshot) {
    rocksdb_readoptions_set_snapshot(options_.get(), snapshot);
    it_.reset(rocksdb_create_iterator_cf(db, options_.get(), family));
    rocksdb_iter_seek(it_.get(), first_.data(), first_.size());
  }

  // False at the end, or at an error.
  bool valid() const { return rocksdb_iter_valid(it_.get()) != 0; }
  void FindError(RocksdbError* error) const { rocksdb_iter_get_error(it_.get(), error->out()); }
  void Next() { rocksdb_iter_next(it_.get()); }
  absl::string_view key() const {
    size_t bytes = 0;
    const char* const data = rocksdb_iter_key(it_.get(), &bytes);
    return {data, bytes};
  }
  absl::string_view value() const {
    size_t bytes = 0;
    const char* const data = rocksdb_iter_value(it_.get(), &bytes);
    return {data, bytes};
  }

 private:
  static constexpr size_t kReadahead = size_t{2} << 20;

  const RocksdbReadOptionsPtr options_;
  const RocksdbRowKey first_;
  const RocksdbRowKey end_;
  RocksdbIteratorPtr it_;  // goes before its bounds
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_ROW_ITERATOR_H_
