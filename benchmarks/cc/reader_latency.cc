// How long Find takes one reader thread, alone, with a writer beside it that replaces 100,000 rows
// a second, and while the store gives half of its memory back: percentiles of single calls. See
// benchmarks/README.md, "reader_latency".
//
//   reader_latency [rows, default 2000000] [rounds, default 15]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "benchmarks/cc/measure.h"
#include "cc/storage/memory_store.h"

namespace tf_hps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kDim = 64;
constexpr size_t kRowBytes = kDim * sizeof(float);
constexpr size_t kBatch = 1024;
constexpr int kCallsPerRound = 2000;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

class Writer {
 public:
  Writer(EmbeddingStore* store, int64_t rows) : store_(*store), rows_(rows) {}

  void Run(const std::atomic<bool>& over) {
    std::mt19937_64 random(7);
    std::vector<Key> keys(100);
    const std::vector<uint8_t> rows(keys.size() * kRowBytes, 1);
    const auto start = Clock::now();
    for (int64_t millisecond = 0; !over; ++millisecond) {
      std::this_thread::sleep_until(start + std::chrono::milliseconds(millisecond));
      for (Key& key : keys) key = static_cast<Key>(random() % static_cast<uint64_t>(rows_));
      Check(store_.Insert(keys, RowsView(rows.data(), kRowBytes), {}));
    }
  }

 private:
  EmbeddingStore& store_;
  const int64_t rows_;
};

struct Percentiles {
  double p50, p99, p999;  // microseconds
};

// Calls with keys of [0, rows), kCallsPerRound of them or as many as until `over`.
Percentiles ReadRound(const EmbeddingStore& store, int64_t rows, std::mt19937_64* random,
                      const std::atomic<bool>* over = nullptr) {
  std::vector<uint8_t> out(kBatch * kRowBytes);
  RowSink sink;
  sink.destination = out.data();
  sink.stride = sink.out_bytes = kRowBytes;
  std::vector<Key> keys(kBatch);
  std::vector<double> took;
  for (int call = 0; over == nullptr ? call < kCallsPerRound : !*over; ++call) {
    for (Key& key : keys) key = static_cast<Key>((*random)() % static_cast<uint64_t>(rows));
    Pending pending = Pending::All(kBatch);
    const auto start = Clock::now();
    Check(store.Find(keys, sink, &pending));
    took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(took.begin(), took.end());
  const auto at = [&](double share) {
    return took[static_cast<size_t>(share * static_cast<double>(took.size() - 1))];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

std::unique_ptr<EmbeddingStore> Filled(int64_t rows, const MemoryStoreOptions& options) {
  TableSpec spec;
  spec.embedding_dim = kDim;
  spec.rows = rows;
  auto store = OpenMemoryStore(spec, options);
  Check(store.status());
  std::vector<Key> keys(65536);
  const std::vector<uint8_t> zeros(keys.size() * kRowBytes, 0);
  for (int64_t begin = 0; begin < rows; begin += static_cast<int64_t>(keys.size())) {
    keys.resize(std::min<size_t>(keys.size(), rows - begin));
    std::iota(keys.begin(), keys.end(), begin);
    Check((*store)->Insert(keys, RowsView(zeros.data(), kRowBytes), {}));
  }
  return *std::move(store);
}

// Reads rows that stay, before the others go and meanwhile.
Percentiles ReadWhileItShrinks(int64_t rows, std::mt19937_64* random, Percentiles* before) {
  MemoryStoreOptions options;
  options.capacity_rows = rows;
  const auto store = Filled(rows, options);
  store->CountUses();
  *before = ReadRound(*store, rows / 3, random);
  std::atomic<bool> over{false};
  double seconds = 0;
  std::thread shrinking([&] {
    const auto start = Clock::now();
    Check(store->LimitRows(rows / 2));
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    over = true;
  });
  const Percentiles found = ReadRound(*store, rows / 3, random, &over);
  shrinking.join();
  std::printf("# half of %lld rows went in %.2f s\n", static_cast<long long>(rows), seconds);
  return found;
}

void Run(int64_t rows, int rounds) {
  const auto store = Filled(rows, {});
  std::mt19937_64 random(1);
  constexpr int kKinds = 4;
  const char* const kinds[kKinds] = {"alone", "alone, again", "with a writer", "while it shrinks"};
  std::vector<double> p50[kKinds], p99[kKinds], p999[kKinds], ratio[kKinds];
  for (int round = 0; round < rounds; ++round) {
    for (int kind = 0; kind < kKinds; ++kind) {
      std::atomic<bool> over{false};
      std::thread writing;
      if (kind == 2) {
        writing = std::thread([&] { Writer(store.get(), rows).Run(over); });
      }
      Percentiles before{};
      const Percentiles found =
          kind == 3 ? ReadWhileItShrinks(rows, &random, &before) : ReadRound(*store, rows, &random);
      over = true;
      if (writing.joinable()) writing.join();
      p50[kind].push_back(found.p50);
      p99[kind].push_back(found.p99);
      p999[kind].push_back(found.p999);
      // Beside a store of its own where it shrinks: there lookups count uses.
      ratio[kind].push_back(found.p99 / (kind == 3 ? before.p99 : p99[0].back()));
    }
  }
  std::printf("reader\tratio\tlowest\thighest\tp50_us\tp99_us\tp999_us\n");
  for (int kind = 0; kind < kKinds; ++kind) {
    std::printf("%s\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\t%.1f\n", kinds[kind], Median(ratio[kind]),
                *std::min_element(ratio[kind].begin(), ratio[kind].end()),
                *std::max_element(ratio[kind].begin(), ratio[kind].end()), Median(p50[kind]),
                Median(p99[kind]), Median(p999[kind]));
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  tf_hps::Run(argc > 1 ? std::atoll(argv[1]) : 2000000, argc > 2 ? std::atoi(argv[2]) : 15);
  return 0;
}
