#include "cc/storage/rocksdb_options.h"

#include <map>

#include "cc/common/mutex.h"

namespace tf_hps {
namespace {

constexpr int kInfoLogFatal = 4;
constexpr size_t kWriteBufferBytes = size_t{128} << 20;
constexpr uint64_t kMaxWalBytes = uint64_t{256} << 20;
constexpr double kBloomBitsPerKey = 10;

// One for all stores of the process that want it as large: two generations side by side, each in a
// store of its own, come back to no more blocks than one does. (With one each, memory grew by 64
// MiB with a switch, and stayed there.) Never destroyed: a database may outlive main().
const RocksdbCachePtr& BlockCacheOf(int64_t bytes) {
  struct Caches {
    Mutex mutex;
    std::map<int64_t, RocksdbCachePtr> by_bytes ABSL_GUARDED_BY(mutex);
  };
  static auto* const caches = new Caches;
  MutexLock lock(&caches->mutex);
  RocksdbCachePtr& cache = caches->by_bytes[bytes];
  if (cache == nullptr) cache.reset(rocksdb_cache_create_lru(bytes));
  return cache;
}

}  // namespace

RocksdbTableOptionsPtr MakeRocksdbTableOptions() {
  RocksdbTableOptionsPtr table(rocksdb_block_based_options_create());
  // Not newer, and LZ4 of the codecs: docs/formats.md.
  rocksdb_block_based_options_set_format_version(table.get(), 5);
  // Half of the ids unknown: without the filter 1.7 times slower. Ribbon, other block sizes and
  // checksums: benchmarks/README.md, "rocksdb_options".
  rocksdb_block_based_options_set_filter_policy(
      table.get(), rocksdb_filterpolicy_create_bloom_full(kBloomBitsPerKey));
  return table;
}

RocksdbOptionsPtr MakeRocksdbOptions(const RocksdbOptions& options) {
  const RocksdbTableOptionsPtr table = MakeRocksdbTableOptions();
  if (options.block_cache_bytes > 0) {
    rocksdb_block_based_options_set_block_cache(table.get(),
                                                BlockCacheOf(options.block_cache_bytes).get());
  } else {
    rocksdb_block_based_options_set_no_block_cache(table.get(), 1);
  }

  RocksdbOptionsPtr result(rocksdb_options_create());
  rocksdb_options_t* const o = result.get();
  rocksdb_options_set_block_based_table_factory(o, table.get());
  rocksdb_options_set_compression(o, rocksdb_lz4_compression);
  // All files stay open: a reader keeps its rows when a writer in another process deletes the
  // files, and a file that is cut short is found at open. (No mmap: such a file would end the
  // process.)
  rocksdb_options_set_max_open_files(o, -1);
  // For all column families together; otherwise each of them may hold two buffers of 64 MiB.
  rocksdb_options_set_db_write_buffer_size(o, kWriteBufferBytes);
  // One idle column family keeps every log since its last write alive, and an open replays them.
  rocksdb_options_set_max_total_wal_size(o, kMaxWalBytes);
  // Warnings reach us as errors. A log on a full disk that is written to again ends the process:
  // Debian's build asserts that nobody appends to a file after an error.
  rocksdb_options_set_info_log_level(o, kInfoLogFatal);
  rocksdb_options_set_keep_log_file_num(o, 2);
  return result;
}

}  // namespace tf_hps
