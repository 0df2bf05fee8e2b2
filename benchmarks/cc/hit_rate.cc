// Hit rates of the memory store's eviction policies at a tenth of the table's rows, against the
// ideal LFU: one that always holds the keys that are asked for most. See benchmarks/README.md,
// "hit_rate".
//
//   hit_rate [rows, default 1000000]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "benchmarks/cc/measure.h"
#include "benchmarks/cc/zipf_stream.h"
#include "cc/storage/memory_store.h"

namespace tf_hps {
namespace {

constexpr size_t kBatch = 1024;
constexpr int64_t kDim = 4;

// Of what is asked after the first half: a store that starts empty, and gets every row it missed.
double HitRate(int64_t rows, double exponent, bool moves, EvictionPolicy::Kind eviction) {
  TableSpec spec;
  spec.embedding_dim = kDim;
  spec.rows = rows;
  MemoryStoreOptions options;
  options.capacity_rows = rows / 10;
  options.eviction = eviction;
  auto store = OpenMemoryStore(spec, options);
  if (!store.ok()) Die(store.status());

  ZipfStream stream(rows, exponent);
  const size_t row_bytes = kDim * sizeof(float);
  std::vector<uint8_t> out(kBatch * row_bytes), row(kBatch * row_bytes);
  RowSink sink;
  sink.destination = out.data();
  sink.stride = sink.out_bytes = row_bytes;
  const int64_t batches = 20 * rows / static_cast<int64_t>(kBatch);
  int64_t asked = 0, hits = 0;
  std::vector<Key> keys(kBatch);
  for (int64_t b = 0; b < batches; ++b) {
    // A tenth of the popular keys in the time in which the table is asked for once, all over.
    if (moves) stream.Move(std::max<int64_t>(1, rows / 100 * kBatch / rows));
    for (Key& key : keys) key = stream.Next();
    Pending pending = Pending::All(kBatch);
    if (absl::Status status = (*store)->Find(keys, sink, &pending); !status.ok()) Die(status);
    if (b >= batches / 2) {
      asked += kBatch;
      hits += static_cast<int64_t>(kBatch - pending.size());
    }
    std::vector<Key> missing;
    for (size_t i = 0; i < pending.size(); ++i) missing.push_back(keys[pending[i]]);
    InsertOptions keep;
    keep.existing = OnExisting::kKeep;
    if (absl::Status status = (*store)->Insert(missing, RowsView(row.data(), row_bytes), keep);
        !status.ok()) {
      Die(status);
    }
  }
  return static_cast<double>(hits) / static_cast<double>(asked);
}

void Run(int64_t rows) {
  std::printf("ids\thot set\tpeer\thit_rate\tideal\tratio\n");
  for (const double exponent : {0.8, 1.0, 1.05, 1.2}) {
    const double ideal = ZipfStream(rows, exponent).ShareOfFirst(rows / 10);
    for (const bool moves : {false, true}) {
      for (const auto& [kind, name] : {std::pair{EvictionPolicy::Kind::kLru, "lru"},
                                       std::pair{EvictionPolicy::Kind::kLfu, "lfu"}}) {
        const double rate = HitRate(rows, exponent, moves, kind);
        std::printf("zipf %.2f\t%s\t%s\t%.4f\t%.4f\t%.3f\n", exponent, moves ? "moves" : "stays",
                    name, rate, ideal, rate / ideal);
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  tf_hps::Run(argc > 1 ? std::atoll(argv[1]) : 1000000);
  return 0;
}
