// What RocksDB's options do to lookups: batches of 1024 keys by batched_multi_get_cf from stores
// that differ from ours in one option each, in turn, round by round. "page cache": the files lie in
// memory; "disk": they are dropped from it before each measurement. Prints tab-separated rows;
// ratio is the peer's time over that of our options. See benchmarks/README.md, "rocksdb_options".
//
//   rocksdb_options [rows, default 500000] [rounds, default 9] [dir]
#include "cc/storage/rocksdb_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/cc/measure.h"
#include "cc/storage/rocksdb_key.h"

namespace tf_hps {
namespace {

constexpr int64_t kDim = 64;
constexpr size_t kRowBytes = kDim * sizeof(float);
constexpr size_t kBatch = 1024;

struct Variant {
  std::string name;
  std::function<void(rocksdb_block_based_table_options_t*)> set;
  int64_t cache_bytes = RocksdbOptions().block_cache_bytes;
  bool verify_checksums = true;
  bool compress = true;
};

void Check(const RocksdbError& error) {
  if (!error) return;
  std::fprintf(stderr, "%s\n", std::string(error.text()).c_str());
  std::exit(1);
}

class Store {
 public:
  Store(Variant variant, const std::string& dir, int64_t rows)
      : variant_(std::move(variant)),
        path_(dir + "/" + variant_.name),
        options_(MakeRocksdbOptions({})),
        read_options_(rocksdb_readoptions_create()) {
    // As rocksdb_options.cc has it, and then the variant's option.
    RocksdbTableOptionsPtr table(rocksdb_block_based_options_create());
    rocksdb_block_based_options_set_format_version(table.get(), 5);
    rocksdb_block_based_options_set_filter_policy(table.get(),
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    if (variant_.cache_bytes == 0) {
      rocksdb_block_based_options_set_no_block_cache(table.get(), 1);
    } else {
      const RocksdbCachePtr cache(rocksdb_cache_create_lru(variant_.cache_bytes));
      rocksdb_block_based_options_set_block_cache(table.get(), cache.get());
    }
    if (variant_.set) variant_.set(table.get());
    rocksdb_options_set_block_based_table_factory(options_.get(), table.get());
    rocksdb_options_set_create_if_missing(options_.get(), 1);
    if (!variant_.compress) rocksdb_options_set_compression(options_.get(), 0);
    rocksdb_readoptions_set_verify_checksums(read_options_.get(), variant_.verify_checksums);
    const char* const name = "default";
    const rocksdb_options_t* const options = options_.get();
    rocksdb_column_family_handle_t* column_family = nullptr;
    RocksdbError error;
    db_.reset(rocksdb_open_column_families(options, path_.c_str(), 1, &name, &options,
                                           &column_family, error.out()));
    Check(error);
    column_family_.reset(column_family);
    Load(rows);
  }

  const std::string& name() const { return variant_.name; }

  // Returns how many were found. Keys ascend, each once.
  size_t Get(const std::vector<uint64_t>& keys) const {
    std::array<const char*, kBatch> pointers;
    std::array<size_t, kBatch> sizes;
    std::array<rocksdb_pinnableslice_t*, kBatch> values;
    std::array<char*, kBatch> errors;
    for (size_t i = 0; i < keys.size(); ++i) {
      pointers[i] = reinterpret_cast<const char*>(&keys[i]);
      sizes[i] = sizeof(uint64_t);
    }
    rocksdb_batched_multi_get_cf(db_.get(), read_options_.get(), column_family_.get(), keys.size(),
                                 pointers.data(), sizes.data(), values.data(), errors.data(), true);
    size_t found = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (errors[i] != nullptr) std::abort();
      if (values[i] == nullptr) continue;
      rocksdb_pinnableslice_destroy(values[i]);
      ++found;
    }
    return found;
  }

  void DropFromPageCache() const {
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      const int descriptor = open(file.path().c_str(), O_RDONLY);
      if (descriptor < 0) continue;
      posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
      close(descriptor);
    }
  }

 private:
  // Even keys, rows of floats that no codec makes smaller.
  void Load(int64_t rows) {
    std::mt19937 random(1);
    const RocksdbWriteOptionsPtr write(rocksdb_writeoptions_create());
    rocksdb_writeoptions_disable_WAL(write.get(), 1);
    std::vector<float> row(kDim);
    for (int64_t begin = 0; begin < rows; begin += 4096) {
      const RocksdbBatchPtr batch(rocksdb_writebatch_create());
      for (int64_t id = begin; id < std::min(rows, begin + 4096); ++id) {
        for (float& element : row) element = static_cast<float>(random()) * 1e-9f;
        const uint64_t key = RocksdbKeyBytes(RocksdbKeyOrder(2 * id));
        rocksdb_writebatch_put_cf(batch.get(), column_family_.get(),
                                  reinterpret_cast<const char*>(&key), sizeof(key),
                                  reinterpret_cast<const char*>(row.data()), kRowBytes);
      }
      RocksdbError error;
      rocksdb_write(db_.get(), write.get(), batch.get(), error.out());
      Check(error);
    }
    RocksdbError error;
    const RocksdbFlushOptionsPtr flush(rocksdb_flushoptions_create());
    rocksdb_flush_cf(db_.get(), flush.get(), column_family_.get(), error.out());
    Check(error);
    rocksdb_compact_range_cf(db_.get(), column_family_.get(), nullptr, 0, nullptr, 0);
    sync();  // or the pages cannot be dropped
  }

  const Variant variant_;
  const std::string path_;
  const RocksdbOptionsPtr options_;
  const RocksdbReadOptionsPtr read_options_;
  RocksdbPtr db_;
  RocksdbColumnFamilyPtr column_family_;
};

std::vector<Variant> Variants(int64_t rows) {
  using Table = rocksdb_block_based_table_options_t;
  const auto block = [](size_t bytes) {
    return [bytes](Table* t) { rocksdb_block_based_options_set_block_size(t, bytes); };
  };
  const auto checksum = [](char type) {
    return [type](Table* t) { rocksdb_block_based_options_set_checksum(t, type); };
  };
  std::vector<Variant> variants = {
      {"ours", nullptr},
      {"ours again", nullptr},
      {"no filter", [](Table* t) { rocksdb_block_based_options_set_filter_policy(t, nullptr); }},
      {"ribbon filter",
       [](Table* t) {
         rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_ribbon(10));
       }},
      {"blocks 2 KB", block(2048)},
      {"blocks 8 KB", block(8192)},
      {"blocks 16 KB", block(16384)},
      {"checksum none", checksum(0)},
      {"checksum crc32c", checksum(1)},
      {"not verified", nullptr},
      {"no compression", nullptr},
      {"no cache", nullptr, 0},
      {"cache holds all", nullptr, rows * static_cast<int64_t>(kRowBytes) * 3 / 2},
  };
  for (Variant& variant : variants) {
    if (variant.name == "not verified") variant.verify_checksums = false;
    if (variant.name == "no compression") variant.compress = false;
  }
  return variants;
}

struct Ids {
  const char* name;
  bool zipf;
  int unknown_percent;
};

std::vector<uint64_t> Draw(const Ids& ids, int64_t rows, std::mt19937_64* random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<uint64_t> orders(kBatch);
  for (uint64_t& order : orders) {
    const double u = uniform(*random);
    // The inverse of zipf 1.05's continuous distribution; popular ids lie scattered.
    const double s = 1.05;
    const double n = static_cast<double>(rows);
    const double rank =
        ids.zipf ? std::pow(u * (std::pow(n, 1 - s) - 1) + 1, 1 / (1 - s)) - 1 : u * n;
    const int64_t id = static_cast<int64_t>(rank) * 7919 % rows;
    order = RocksdbKeyOrder(2 * id + (uniform(*random) * 100 < ids.unknown_percent ? 1 : 0));
  }
  std::sort(orders.begin(), orders.end());
  orders.erase(std::unique(orders.begin(), orders.end()), orders.end());
  for (uint64_t& order : orders) order = RocksdbKeyBytes(order);
  return orders;
}

void Run(int64_t rows, int rounds, const std::string& dir) {
  std::vector<std::unique_ptr<Store>> stores;
  for (Variant& variant : Variants(rows)) {
    stores.push_back(std::make_unique<Store>(std::move(variant), dir, rows));
  }
  std::mt19937_64 random(2);
  std::printf("files\tids\tpeer\tratio\tlowest\thighest\tthousand_keys_per_s\n");
  for (const bool from_disk : {false, true}) {
    for (const Ids& ids :
         {Ids{"uniform", false, 0}, Ids{"zipf 1.05", true, 0}, Ids{"half unknown", false, 50}}) {
      const int batches = from_disk ? 2 : 16;
      std::vector<std::vector<double>> seconds(stores.size());
      int64_t keys_asked = 0;
      for (int round = -1; round < rounds; ++round) {  // the first one fills the caches
        std::vector<std::vector<uint64_t>> keys;
        for (int b = 0; b < batches; ++b) keys.push_back(Draw(ids, rows, &random));
        keys_asked = 0;
        for (const auto& batch : keys) keys_asked += static_cast<int64_t>(batch.size());
        size_t expected = 0;
        for (size_t turn = 0; turn < stores.size(); ++turn) {
          const size_t s = (turn + static_cast<size_t>(round + 1)) % stores.size();
          if (from_disk) stores[s]->DropFromPageCache();
          const auto start = std::chrono::steady_clock::now();
          size_t found = 0;
          for (const auto& batch : keys) found += stores[s]->Get(batch);
          const double took =
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
          if (turn == 0) expected = found;
          if (found != expected) std::abort();
          if (round >= 0) seconds[s].push_back(took);
        }
      }
      for (size_t s = 1; s < stores.size(); ++s) {
        std::vector<double> ratios;
        for (int r = 0; r < rounds; ++r) ratios.push_back(seconds[s][r] / seconds[0][r]);
        std::printf("%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.1f\n", from_disk ? "disk" : "page cache",
                    ids.name, stores[s]->name().c_str(), Median(ratios),
                    *std::min_element(ratios.begin(), ratios.end()),
                    *std::max_element(ratios.begin(), ratios.end()),
                    static_cast<double>(keys_asked) / Median(seconds[s]) / 1e3);
      }
    }
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 500000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  const std::string dir = argc > 3 ? argv[3]
                                   : (std::filesystem::temp_directory_path() /
                                      ("tf_hps_options_" + std::to_string(getpid())))
                                         .string();
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  tf_hps::Run(rows, rounds, dir);
  std::filesystem::remove_all(dir);
  return 0;
}
