// EmbeddingStore::Find of the rocksdb backend against a bare loop of rocksdb_batched_multi_get_cf
// over the same keys of the same open database: keys encoded, chunks of 512 in the order they come,
// rows copied out, results freed. Prints tab-separated rows; a ratio above 1: Find is faster.
//   rocksdb_store_find [rows] [rounds, default 9] [dir]
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/cc/measure.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_key.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

constexpr int64_t kDim = 64;
constexpr size_t kRowBytes = kDim * sizeof(float);
constexpr size_t kBareChunk = 512;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

double Seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

std::unique_ptr<EmbeddingStore> OpenStore(const std::string& path, bool read_only) {
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind != "rocksdb") continue;
    TableSpec spec;
    spec.name = "bench";
    spec.generation = "live-0";
    spec.embedding_dim = kDim;
    auto store = backend.open(spec, {{"path", path}, {"read_only", read_only}});
    Check(store.status());
    return *std::move(store);
  }
  std::fprintf(stderr, "no rocksdb backend\n");
  std::exit(1);
}

void Load(const std::string& path, int64_t rows) {
  const auto store = OpenStore(path, false);
  std::mt19937 random(1);
  std::vector<float> block(65536 * kDim);
  for (int64_t begin = 0; begin < rows; begin += 65536) {
    std::vector<Key> keys;
    for (int64_t key = begin; key < std::min(rows, begin + 65536); ++key) keys.push_back(2 * key);
    for (float& element : block) element = random() * 1e-9f;
    Check(store->Insert(keys, {reinterpret_cast<const uint8_t*>(block.data()), kRowBytes}, {}));
  }
  const auto database = OpenRocksdb(path, {});
  Check(database.status());
  const auto table = (*database)->FindTable("bench", "live-0");
  rocksdb_compact_range_cf((*database)->db(), (*table)->rows.get(), nullptr, 0, nullptr, 0);
}

// The bare loop; returns how many were found.
size_t Bare(const RocksdbDatabase& database, const RocksdbTable& table,
            const std::vector<Key>& keys, uint8_t* out, bool sorted) {
  static const RocksdbReadOptionsPtr options(rocksdb_readoptions_create());
  std::array<uint64_t, kBareChunk> encoded;
  std::array<const char*, kBareChunk> pointers;
  std::array<size_t, kBareChunk> sizes;
  std::array<rocksdb_pinnableslice_t*, kBareChunk> values;
  std::array<char*, kBareChunk> errors;
  size_t found = 0;
  for (size_t begin = 0; begin < keys.size(); begin += kBareChunk) {
    const size_t n = std::min(kBareChunk, keys.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      encoded[i] = RocksdbKeyBytes(RocksdbKeyOrder(keys[begin + i]));
      pointers[i] = reinterpret_cast<const char*>(&encoded[i]);
      sizes[i] = sizeof(uint64_t);
    }
    rocksdb_batched_multi_get_cf(database.db(), options.get(), table.rows.get(), n, pointers.data(),
                                 sizes.data(), values.data(), errors.data(), sorted);
    for (size_t i = 0; i < n; ++i) {
      if (values[i] == nullptr) continue;
      size_t bytes = 0;
      std::memcpy(out + (begin + i) * kRowBytes, rocksdb_pinnableslice_value(values[i], &bytes),
                  kRowBytes);
      rocksdb_pinnableslice_destroy(values[i]);
      ++found;
    }
  }
  return found;
}

size_t Ours(const EmbeddingStore& store, const std::vector<Key>& keys, uint8_t* out) {
  RowSink sink;
  sink.destination = out;
  sink.stride = sink.out_bytes = kRowBytes;
  Pending pending = Pending::All(keys.size());
  Check(store.Find(keys, sink, &pending));
  return keys.size() - pending.size();
}

struct Axis {
  const char* name;
  bool zipf;
  bool sorted;
  int unknown_percent;
};

// Even keys are stored, odd ones are not.
std::vector<Key> MakeKeys(const Axis& axis, size_t batch, int64_t rows, std::mt19937_64* random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Key> keys(batch);
  for (Key& key : keys) {
    const double u = uniform(*random);
    // The inverse of zipf 1.05's continuous distribution; popular ids lie scattered.
    const double s = 1.05;
    const double rank =
        axis.zipf ? std::pow(u * (std::pow(rows, 1 - s) - 1) + 1, 1 / (1 - s)) - 1 : u * rows;
    const int64_t id = static_cast<int64_t>(rank) * 7919 % rows;
    key = 2 * id + (uniform(*random) * 100 < axis.unknown_percent ? 1 : 0);
  }
  if (axis.sorted) std::sort(keys.begin(), keys.end());
  return keys;
}

void Run(const std::string& path, int64_t rows, int rounds) {
  const auto store = OpenStore(path, true);
  const auto database = OpenRocksdb(path, {/*read_only=*/true});
  const auto table = (*database)->FindTable("bench", "live-0");
  Check(table.status());
  std::mt19937_64 random(2);
  std::printf("keys\tbatch\tpeer\tratio\tlowest\thighest\tfind_keys_per_s\tbare_keys_per_s\n");
  for (const Axis& axis :
       {Axis{"uniform", false, false, 0}, Axis{"uniform sorted", false, true, 0},
        Axis{"zipf 1.05", true, false, 0}, Axis{"uniform half unknown", false, false, 50}}) {
    for (const size_t batch : {32, 1024, 16384, 131072}) {
      std::vector<uint8_t> out(batch * kRowBytes);
      std::vector<double> ours, bare;
      // Small batches repeat, so that one measurement is never a few microseconds.
      const int repeats = static_cast<int>(std::max<size_t>(1, 4096 / batch));
      for (int round = 0; round < rounds; ++round) {
        std::vector<std::vector<Key>> batches;
        for (int i = 0; i < repeats; ++i) batches.push_back(MakeKeys(axis, batch, rows, &random));
        size_t found[2] = {0, 0};
        // In turn first, so that neither always meets the other's warm cache.
        for (int turn = 0; turn < 2; ++turn) {
          const bool is_ours = (turn + round) % 2 == 0;
          const auto start = std::chrono::steady_clock::now();
          for (const auto& keys : batches) {
            found[is_ours] += is_ours ? Ours(*store, keys, out.data())
                                      : Bare(**database, **table, keys, out.data(), axis.sorted);
          }
          (is_ours ? ours : bare).push_back(Seconds(std::chrono::steady_clock::now() - start));
        }
        if (found[0] != found[1]) {
          std::fprintf(stderr, "found %zu and %zu\n", found[0], found[1]);
          std::exit(1);
        }
      }
      std::vector<double> ratios;
      for (int round = 0; round < rounds; ++round) ratios.push_back(bare[round] / ours[round]);
      const double keys = static_cast<double>(batch) * repeats;
      std::printf("%s\t%zu\tbare\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\n", axis.name, batch, Median(ratios),
                  *std::min_element(ratios.begin(), ratios.end()),
                  *std::max_element(ratios.begin(), ratios.end()), keys / Median(ours),
                  keys / Median(bare));
    }
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 500000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  const std::string dir =
      argc > 3 ? argv[3] : (std::filesystem::temp_directory_path() / "tf_hps_bench").string();
  std::filesystem::remove_all(dir);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  tf_hps::Load(dir, rows);
  tf_hps::Run(dir, rows, rounds);
  std::filesystem::remove_all(dir);
  return 0;
}
