// What the sampler of a table costs its lookups: the memory store's Find with and without Record
// before it, in turns within one run. Prints tab-separated rows with nanoseconds a key and the time
// without over that with it. See benchmarks/README.md, "key_sampler".
//
//   key_sampler [rows, default 2000000] [repetitions, default 15]
#include "cc/hierarchy/key_sampler.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "benchmarks/cc/key_draws.h"
#include "benchmarks/cc/measure.h"
#include "cc/storage/memory_store.h"

namespace tf_hps {
namespace {

constexpr size_t kKeys = 1 << 19;   // of a case
constexpr size_t kSlice = 1 << 14;  // what is looked up before it is another's turn
constexpr int kPeers = 3;           // without, with, without again

// A sampler in one of the states that tables are in.
class SamplerIn {
 public:
  // one_in: of how many keys a window takes one; 0: it pauses.
  explicit SamplerIn(int64_t one_in) : one_in_(one_in) {}

  // As long as a repetition takes, for its keys do not fill a sparse window.
  KeySampler* Ready() {
    if (sampler_ != nullptr && sampler_->Stats()["one_in"] == one_in_) return sampler_.get();
    sampler_ = std::make_unique<KeySampler>(&asked_);
    std::mt19937_64 random(1);
    // All over a large table windows become sparser and sparser; of a small one all are dense,
    // until the free ones are used up.
    while (sampler_->Stats()["one_in"] != one_in_) {
      asked_.Add(kSlice);
      sampler_->Record(UniformKeys(one_in_ == 0 ? 1000 : 1 << 30, kSlice, &random),
                       Pending::All(kSlice));
    }
    return sampler_.get();
  }

 private:
  const int64_t one_in_;
  Counter asked_;
  std::unique_ptr<KeySampler> sampler_;
};

class LookedUp {
 public:
  LookedUp(const EmbeddingStore& store, size_t row_bytes, size_t batch)
      : store_(store), batch_(batch), rows_(batch * row_bytes) {
    sink_.destination = rows_.data();
    sink_.stride = sink_.out_bytes = row_bytes;
    sink_.default_row = default_row_.data();
  }

  double Seconds(const Key* keys, size_t n, KeySampler* sampler) {
    const double start = ThreadSeconds();
    for (size_t i = 0; i + batch_ <= n; i += batch_) {
      Pending pending = Pending::All(batch_);
      if (sampler != nullptr) sampler->Record({keys + i, batch_}, pending);
      const absl::Status status = store_.Find({keys + i, batch_}, sink_, &pending);
      if (!status.ok()) Die(status);
    }
    return ThreadSeconds() - start;
  }

 private:
  const EmbeddingStore& store_;
  const size_t batch_;
  std::vector<uint8_t> rows_;
  const std::vector<uint8_t> default_row_ = std::vector<uint8_t>(1024);
  RowSink sink_;
};

struct Figures {
  std::vector<double> ratios, again, without_ns, with_ns;
};

// Whose turn a slice is changes from pass to pass, so that after three each has looked up all.
Figures Compare(const std::vector<Key>& keys, LookedUp* looked_up, SamplerIn* sampler,
                int repetitions) {
  Figures figures;
  for (int i = -1; i < repetitions; ++i) {
    double seconds[kPeers] = {};
    for (size_t pass = 0; pass < kPeers; ++pass) {
      KeySampler* const ready = sampler->Ready();
      for (size_t s = 0; s * kSlice < keys.size(); ++s) {
        const size_t peer = (s + pass) % kPeers;
        seconds[peer] += looked_up->Seconds(&keys[s * kSlice], kSlice, peer == 1 ? ready : nullptr);
      }
    }
    if (i < 0) continue;  // the first one warms up
    figures.ratios.push_back(seconds[0] / seconds[1]);
    figures.again.push_back(seconds[0] / seconds[2]);
    figures.without_ns.push_back(seconds[0] * 1e9 / static_cast<double>(keys.size()));
    figures.with_ns.push_back(seconds[1] * 1e9 / static_cast<double>(keys.size()));
  }
  return figures;
}

double RecordNs(const std::vector<Key>& keys, size_t batch, SamplerIn* sampler, int repetitions) {
  std::vector<double> ns;
  for (int i = 0; i < repetitions; ++i) {
    KeySampler* const ready = sampler->Ready();
    const double start = ThreadSeconds();
    for (size_t k = 0; k + batch <= keys.size(); k += batch) {
      ready->Record({&keys[k], batch}, Pending::All(batch));
    }
    ns.push_back((ThreadSeconds() - start) * 1e9 / static_cast<double>(keys.size()));
  }
  return Median(ns);
}

// What a window takes in which all keys are written down: of lookups, and of the sampler's thread.
void PrintWindow(int repetitions) {
  std::mt19937_64 random(1);
  const std::vector<Key> keys = ZipfKeys(1 << 20, KeySampler::kWindow, &random);
  std::vector<double> write_ns, reckon_ns;
  for (int i = 0; i < repetitions; ++i) {
    Counter asked;
    KeySampler sampler(&asked);
    double start = ThreadSeconds();
    for (size_t k = 0; k < keys.size(); k += 1024) {
      sampler.Record({&keys[k], 1024}, Pending::All(1024));
    }
    write_ns.push_back((ThreadSeconds() - start) * 1e9 / KeySampler::kWindow);
    start = ThreadSeconds();
    sampler.Advance();
    reckon_ns.push_back((ThreadSeconds() - start) * 1e9 / KeySampler::kWindow);
  }
  std::printf(
      "# a key of a window: %.1f ns to write down, %.1f ns to reckon; of one in %d: %.2f ns\n",
      Median(write_ns), Median(reckon_ns), KeySampler::kShare,
      (Median(write_ns) + Median(reckon_ns)) / KeySampler::kShare);
}

void Run(int64_t rows, int repetitions) {
  std::mt19937_64 random(1);
  SamplerIn sparse(512), pausing(0);
  PrintWindow(repetitions);
  std::printf(
      "rows\tdim\tkeys\tbatch\tone in\tratio\tlowest\thighest\ta_a\tfind_ns\twith_ns\trecord_ns\n");
  for (const auto& [table_rows, embedding_dim] :
       {std::pair<int64_t, int64_t>{rows, 64}, {std::max<int64_t>(1000, rows / 100), 16}}) {
    TableSpec spec;
    spec.embedding_dim = embedding_dim;
    spec.rows = table_rows;
    auto store = OpenMemoryStore(spec, {});
    if (!store.ok()) Die(store.status());
    std::vector<Key> all(table_rows);
    std::iota(all.begin(), all.end(), 0);
    const std::vector<uint8_t> zeros(table_rows * spec.row_bytes());
    absl::Status status = (*store)->Insert(all, RowsView(zeros.data(), spec.row_bytes()), {});
    if (!status.ok()) Die(status);
    for (const bool zipf : {false, true}) {
      const std::vector<Key> keys =
          zipf ? ZipfKeys(table_rows, kKeys, &random) : UniformKeys(table_rows, kKeys, &random);
      for (const size_t batch : {32, 1024, 16384}) {
        LookedUp looked_up(**store, spec.row_bytes(), batch);
        for (SamplerIn* sampler : {&sparse, &pausing}) {
          const Figures figures = Compare(keys, &looked_up, sampler, repetitions);
          std::printf("%lld\t%lld\t%s\t%zu\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\t%.2f\n",
                      static_cast<long long>(table_rows), static_cast<long long>(embedding_dim),
                      zipf ? "zipf 1.05" : "uniform", batch, sampler == &sparse ? 512 : 0,
                      Median(figures.ratios),
                      *std::min_element(figures.ratios.begin(), figures.ratios.end()),
                      *std::max_element(figures.ratios.begin(), figures.ratios.end()),
                      Median(figures.again), Median(figures.without_ns), Median(figures.with_ns),
                      RecordNs(keys, batch, sampler, repetitions));
          std::fflush(stdout);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  tf_hps::Run(argc > 1 ? std::atoll(argv[1]) : 2000000, argc > 2 ? std::atoi(argv[2]) : 15);
  return 0;
}
