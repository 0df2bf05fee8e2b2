// How long Find takes one reader thread, with a writer beside it that replaces 100,000 rows a
// second and without: percentiles of single calls. See benchmarks/README.md, "reader_latency".
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

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
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

Percentiles ReadRound(const EmbeddingStore& store, int64_t rows, std::mt19937_64* random) {
  std::vector<uint8_t> out(kBatch * kRowBytes);
  RowSink sink;
  sink.destination = out.data();
  sink.stride = sink.out_bytes = kRowBytes;
  std::vector<Key> keys(kBatch);
  std::vector<double> took;
  for (int call = 0; call < kCallsPerRound; ++call) {
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

void Run(int64_t rows, int rounds) {
  TableSpec spec;
  spec.embedding_dim = kDim;
  spec.rows = rows;
  auto store = OpenMemoryStore(spec, {});
  Check(store.status());
  std::vector<Key> keys(65536);
  const std::vector<uint8_t> zeros(keys.size() * kRowBytes, 0);
  for (int64_t begin = 0; begin < rows; begin += static_cast<int64_t>(keys.size())) {
    std::iota(keys.begin(), keys.end(), begin);
    keys.resize(std::min<size_t>(keys.size(), rows - begin));
    Check((*store)->Insert(keys, RowsView(zeros.data(), kRowBytes), {}));
  }

  std::mt19937_64 random(1);
  const char* const kinds[] = {"alone", "alone, again", "with a writer"};
  std::vector<double> p50[3], p99[3], p999[3], ratio[3];
  for (int round = 0; round < rounds; ++round) {
    for (int kind = 0; kind < 3; ++kind) {
      std::atomic<bool> over{false};
      std::thread writing;
      if (kind == 2) {
        writing = std::thread([&] { Writer(store->get(), rows).Run(over); });
      }
      const Percentiles found = ReadRound(**store, rows, &random);
      over = true;
      if (writing.joinable()) writing.join();
      p50[kind].push_back(found.p50);
      p99[kind].push_back(found.p99);
      p999[kind].push_back(found.p999);
      ratio[kind].push_back(found.p99 / p99[0].back());
    }
  }
  std::printf("reader\tratio\tlowest\thighest\tp50_us\tp99_us\tp999_us\n");
  for (int kind = 0; kind < 3; ++kind) {
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
