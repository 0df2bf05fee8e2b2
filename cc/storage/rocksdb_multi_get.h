#ifndef TF_HPS_CC_STORAGE_ROCKSDB_MULTI_GET_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_MULTI_GET_H_

#include <array>
#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"
#include "cc/storage/rocksdb_c.h"

namespace tf_hps {

// A MultiGet of up to kMost keys with what it found, which it frees. `Bytes` are a key as RocksDB
// compares it, with data() and size(). Used again after Clear: it is 20 KB for 512 keys.
template <class Bytes, size_t kMost>
class RocksdbMultiGet {
 public:
  RocksdbMultiGet() = default;
  ~RocksdbMultiGet() { Free(); }
  RocksdbMultiGet(const RocksdbMultiGet&) = delete;
  RocksdbMultiGet& operator=(const RocksdbMultiGet&) = delete;

  size_t size() const { return size_; }
  bool full() const { return size_ == kMost; }
  void Add(const Bytes& key) { keys_[size_++] = key; }

  // `is_sorted`: keys ascend, each once.
  void Run(rocksdb_t* db, const rocksdb_readoptions_t* options,
           rocksdb_column_family_handle_t* family, bool is_sorted) {
    Free();
    for (size_t i = 0; i < size_; ++i) {
      data_[i] = keys_[i].data();
      sizes_[i] = keys_[i].size();
    }
    rocksdb_batched_multi_get_cf(db, options, family, size_, data_.data(), sizes_.data(),
                                 values_.data(), errors_.data(), is_sorted);
    found_ = size_;
  }

  // Until the next Run or Clear. Null: there is none.
  const char* error(size_t i) const { return errors_[i]; }
  // None: there is no such key, or there is an error.
  std::optional<absl::string_view> value(size_t i) const {
    if (values_[i] == nullptr) return std::nullopt;
    size_t bytes = 0;
    const char* const data = rocksdb_pinnableslice_value(values_[i], &bytes);
    return absl::string_view(data, bytes);
  }

  void Clear() {
    Free();
    size_ = 0;
  }

 private:
  void Free() {
    for (size_t i = 0; i < found_; ++i) {
      if (values_[i] != nullptr) rocksdb_pinnableslice_destroy(values_[i]);
      if (errors_[i] != nullptr) rocksdb_free(errors_[i]);
    }
    found_ = 0;
  }

  // None is set before it is needed: a batch of few keys does not pay for kMost.
  size_t size_ = 0;
  size_t found_ = 0;  // of them: run, and not freed
  std::array<Bytes, kMost> keys_;
  std::array<const char*, kMost> data_;
  std::array<size_t, kMost> sizes_;
  std::array<rocksdb_pinnableslice_t*, kMost> values_;
  std::array<char*, kMost> errors_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_MULTI_GET_H_
