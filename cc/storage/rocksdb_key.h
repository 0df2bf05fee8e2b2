#ifndef TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_

#include <cstdint>

#include "cc/common/key.h"

namespace tf_hps {

// Ids as unsigned integers in numeric order, and as the bytes that RocksDB compares.
inline uint64_t RocksdbKeyOrder(Key key) {
  return static_cast<uint64_t>(key) ^ (uint64_t{1} << 63);
}
inline uint64_t RocksdbKeyBytes(uint64_t order) { return __builtin_bswap64(order); }
inline Key RocksdbKeyFromBytes(uint64_t bytes) {
  return static_cast<Key>(__builtin_bswap64(bytes) ^ (uint64_t{1} << 63));
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_KEY_H_
