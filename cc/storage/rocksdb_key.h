#ifndef TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "cc/common/key.h"

namespace tf_hps {

// Ids as unsigned integers in numeric order, and as the bytes that RocksDB compares.
inline uint64_t RocksdbKeyOrder(Key key) {
  return static_cast<uint64_t>(key) ^ (uint64_t{1} << 63);
}
inline Key RocksdbKeyOfOrder(uint64_t order) {
  return static_cast<Key>(order ^ (uint64_t{1} << 63));
}
// Its own inverse.
inline uint64_t RocksdbKeyBytes(uint64_t order) { return __builtin_bswap64(order); }

// Those bytes of a row's id.
class RocksdbRowKey {
 public:
  RocksdbRowKey() = default;  // not set: there are arrays of them, for some keys
  explicit RocksdbRowKey(Key key) : RocksdbRowKey(OfOrder(RocksdbKeyOrder(key))) {}
  static RocksdbRowKey OfOrder(uint64_t order) {
    RocksdbRowKey made;
    made.bytes_ = RocksdbKeyBytes(order);
    return made;
  }
  // Of what a column family of rows has for a key; false where that has another length.
  static bool Parse(absl::string_view bytes, Key* key) {
    uint64_t number = 0;
    if (bytes.size() != sizeof(number)) return false;
    std::memcpy(&number, bytes.data(), sizeof(number));
    *key = RocksdbKeyOfOrder(RocksdbKeyBytes(number));
    return true;
  }

  const char* data() const { return reinterpret_cast<const char*>(&bytes_); }
  static constexpr size_t size() { return sizeof(uint64_t); }

 private:
  uint64_t bytes_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_
