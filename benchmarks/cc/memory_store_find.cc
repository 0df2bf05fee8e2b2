// The memory store's Find against the bare minimum: a gather from a dense array, rows prefetched 16
// keys ahead, without any keys to look for. Prints tab-separated rows with nanoseconds a key and
// the gather's time over Find's. See benchmarks/README.md, "memory_store_find".
//
//   memory_store_find [rows, default 2000000] [repetitions, default 9]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "benchmarks/cc/key_draws.h"
#include "benchmarks/cc/measure.h"
#include "cc/storage/address_range.h"
#include "cc/storage/memory_store.h"

namespace tf_hps {
namespace {

constexpr size_t kKeys = 4 * 131072;  // looked up in each measurement

uint8_t* HugeMemory(size_t bytes) {
  auto range = AddressRange::Reserve(bytes, bytes);
  if (!range.ok()) Die(range.status());
  if (absl::Status status = range->Commit(bytes); !status.ok()) Die(status);
  return (new AddressRange(*std::move(range)))->data();  // as long as the process
}

template <size_t kRowBytes>
void Gather(const uint8_t* dense, const Key* keys, size_t n, uint8_t* out) {
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < n; ++i) {
    if (i + kAhead < n) {
      for (size_t b = 0; b < kRowBytes; b += 64) {
        __builtin_prefetch(dense + keys[i + kAhead] * kRowBytes + b);
      }
    }
    std::memcpy(out + i * kRowBytes, dense + keys[i] * kRowBytes, kRowBytes);
  }
}

void Find(const EmbeddingStore& store, size_t row_bytes, const Key* keys, size_t n, uint8_t* out) {
  static const std::vector<uint8_t> zeros(1024, 0);
  RowSink sink;
  sink.destination = out;
  sink.stride = sink.out_bytes = row_bytes;
  sink.default_row = zeros.data();
  Pending pending = Pending::All(n);
  const absl::Status status = store.Find({keys, n}, sink, &pending);
  if (!status.ok()) Die(status);
  if (!pending.empty()) Die(absl::InternalError("a row is missing"));
}

// Nanoseconds a key: the threads share the keys, each has its output.
template <class LookUp>
double Measure(const std::vector<Key>& keys, size_t batch, int threads,
               const std::vector<uint8_t*>& outputs, const LookUp& look_up) {
  std::vector<double> seconds(threads);
  const size_t share = keys.size() / threads;
  const auto work = [&](int t) {
    const double start = ThreadSeconds();
    for (size_t i = t * share; i + batch <= (t + 1) * share; i += batch) {
      look_up(&keys[i], batch, outputs[t]);
    }
    seconds[t] = ThreadSeconds() - start;
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& other : others) other.join();
  return std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(keys.size()) *
         1e9;
}

// What a table takes that has next to no rows.
void PrintSmallTable(const uint8_t* rows, int64_t embedding_dim) {
  constexpr int64_t kRows = 1000;
  TableSpec spec;
  spec.embedding_dim = embedding_dim;
  spec.rows = kRows;
  auto store = OpenMemoryStore(spec, {});
  if (!store.ok()) Die(store.status());
  std::vector<Key> keys(kRows);
  std::iota(keys.begin(), keys.end(), 0);
  const RowsView view(rows, spec.row_bytes());
  if (absl::Status status = (*store)->Insert(keys, view, {}); !status.ok()) Die(status);
  std::printf("# a table of %lld rows takes %.2f MB\n", static_cast<long long>(kRows),
              static_cast<double>((*store)->Stats().bytes) / 1e6);
}

template <int64_t embedding_dim>
void Run(int64_t rows, int repetitions) {
  constexpr size_t kRowBytes = embedding_dim * sizeof(float);
  std::mt19937_64 random(1);
  uint8_t* const dense = HugeMemory(rows * kRowBytes);
  for (int64_t i = 0; i < rows * embedding_dim; ++i) {
    reinterpret_cast<float*>(dense)[i] = static_cast<float>(i);
  }
  TableSpec spec;
  spec.embedding_dim = embedding_dim;
  spec.rows = rows;
  auto store = OpenMemoryStore(spec, {});
  if (!store.ok()) Die(store.status());
  std::vector<Key> all(rows);
  std::iota(all.begin(), all.end(), 0);
  if (absl::Status status = (*store)->Insert(all, RowsView(dense, kRowBytes), {}); !status.ok()) {
    Die(status);
  }
  std::printf("# %lld rows of %lld floats, %s, memory %.3f of the rows' bytes\n",
              static_cast<long long>(rows), static_cast<long long>(embedding_dim),
              CpuIsaName(SelectedCpuIsa()),
              static_cast<double>((*store)->Stats().bytes) / static_cast<double>(rows * kRowBytes));
  PrintSmallTable(dense, embedding_dim);
  if (embedding_dim == 64)
    std::printf("dim\tkeys\tbatch\tthreads\tpeer\tratio\tlowest\thighest\tfind_ns\tgather_ns\n");
  for (const bool zipf : {false, true}) {
    const std::vector<Key> keys =
        zipf ? ZipfKeys(rows, kKeys, &random) : UniformKeys(rows, kKeys, &random);
    for (const size_t batch : {32, 1024, 16384, 131072}) {
      const std::vector<uint8_t*> outputs = {HugeMemory(batch * kRowBytes),
                                             HugeMemory(batch * kRowBytes)};
      for (const int threads : {1, 2}) {
        std::vector<double> find, gather;
        for (int i = 0; i < repetitions; ++i) {
          find.push_back(Measure(keys, batch, threads, outputs,
                                 [&](const Key* batch_keys, size_t n, uint8_t* out) {
                                   Find(**store, kRowBytes, batch_keys, n, out);
                                 }));
          gather.push_back(Measure(keys, batch, threads, outputs,
                                   [&](const Key* batch_keys, size_t n, uint8_t* out) {
                                     Gather<kRowBytes>(dense, batch_keys, n, out);
                                   }));
        }
        std::vector<double> ratios;
        for (int i = 0; i < repetitions; ++i) ratios.push_back(gather[i] / find[i]);
        std::printf("%d\t%s\t%zu\t%d\tgather\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\n",
                    static_cast<int>(embedding_dim), zipf ? "zipf 1.05" : "uniform", batch, threads,
                    Median(ratios), *std::min_element(ratios.begin(), ratios.end()),
                    *std::max_element(ratios.begin(), ratios.end()), Median(find), Median(gather));
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 2000000;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 9;
  tf_hps::Run<64>(rows, repetitions);
  tf_hps::Run<128>(rows, repetitions);
  return 0;
}
