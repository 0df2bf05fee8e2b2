// Hit rates with room for a tenth of the rows, against exact LRU that is given the same batches.
#include <list>
#include <unordered_map>

#include "benchmarks/gpu/gpu_cache.h"
#include "benchmarks/gpu/key_batches.h"
#include "benchmarks/gpu/resident_rows.h"

namespace tf_hps {
namespace {

constexpr size_t kBatch = 4096;
constexpr int64_t kDim = 4;

class ExactLru {
 public:
  explicit ExactLru(size_t capacity) : capacity_(capacity) {}
  // Positions without a row; rows come in after the batch, as behind a Fill.
  size_t Misses(const std::vector<Key>& keys) {
    size_t misses = 0;
    for (Key key : keys) misses += places_.count(key) == 0;
    for (Key key : keys) {
      const auto known = places_.find(key);
      if (known != places_.end()) {
        order_.splice(order_.begin(), order_, known->second);
        continue;
      }
      order_.push_front(key);
      places_[key] = order_.begin();
      if (order_.size() <= capacity_) continue;
      places_.erase(order_.back());
      order_.pop_back();
    }
    return misses;
  }

 private:
  const size_t capacity_;
  std::list<Key> order_;  // youngest first
  std::unordered_map<Key, std::list<Key>::iterator> places_;
};

size_t CacheMisses(EmbeddingCache* cache, const std::vector<Key>& keys, const CacheRows& out,
                   Device* device) {
  static const UpdateStamps stamps;
  static const std::vector<uint8_t> rows(kBatch * kDim * sizeof(float));
  const DeviceArray on_device(device, keys);
  auto lookup =
      Value(cache->Lookup({on_device.as<Key>(), keys.size(), out, false}, device->stream));
  Check(lookup->Wait());
  const size_t misses = lookup->keys().size();
  std::vector<Key> each_once(lookup->keys().begin(), lookup->keys().end());
  std::sort(each_once.begin(), each_once.end());
  each_once.erase(std::unique(each_once.begin(), each_once.end()), each_once.end());
  const StampsRead read(&stamps, each_once);
  CacheFill fill;
  fill.keys = each_once;
  fill.rows = RowsView(rows.data(), kDim * sizeof(float));
  fill.stamps = &read;
  Check(cache->Fill(fill, &device->memory, device->stream));
  return misses;
}

void MeasurePolicy(CachePolicy policy, uint64_t all_keys, Device* device) {
  CacheOptions options;
  options.table = "benchmark";
  options.embedding_dim = kDim;
  options.capacity_rows = static_cast<int64_t>(all_keys / 10);
  options.policy = policy;
  const auto cache = Value(NewCudaCache(options, &device->memory, device->stream));
  const DeviceArray out(device, kBatch * kDim * sizeof(float));
  const DeviceArray default_row(device, std::vector<float>(kDim));
  const CacheRows rows = {out.as<void>(), ElementType::kFloat32, default_row.as<void>()};
  ZipfKeys zipf(all_keys);
  ExactLru exact(static_cast<size_t>(Value(cache->Stats(device->stream)).capacity_rows));
  const size_t batches = 4 * all_keys / kBatch;  // half of them to fill the cache
  double misses = 0;
  double exact_misses = 0;
  for (size_t b = 0; b < batches; ++b) {
    const std::vector<Key> keys = zipf.Batch(kBatch);
    const size_t missed = CacheMisses(cache.get(), keys, rows, device);
    const size_t missed_by_exact = exact.Misses(keys);
    if (b < batches / 2) continue;
    misses += static_cast<double>(missed);
    exact_misses += static_cast<double>(missed_by_exact);
  }
  const double asked = static_cast<double>((batches - batches / 2) * kBatch);
  Result("policy")
      .Add("policy", policy == CachePolicy::kLru ? "lru" : "lfu")
      .Add("keys", static_cast<double>(all_keys))
      .Add("hit_rate", 1 - misses / asked)
      .Add("exact_lru_hit_rate", 1 - exact_misses / asked)
      .Add("of_exact_lru", (asked - misses) / (asked - exact_misses));
}

}  // namespace

void MeasurePolicies(const BenchmarkSize& size, Device* device) {
  for (CachePolicy policy : {CachePolicy::kLru, CachePolicy::kLfu}) {
    MeasurePolicy(policy, size.policy_keys, device);
  }
}

}  // namespace tf_hps
