// Small lookups, by the host's clock: with misses served from host memory, and replayed.
#include <cstring>
#include <memory>
#include <random>

#include "benchmarks/gpu/gpu_cache.h"
#include "benchmarks/gpu/resident_rows.h"
#include "benchmarks/gpu/small_batches.h"

namespace tf_hps {
namespace {

// Stats waits once itself.
double WaitsSince(EmbeddingCache* cache, int64_t before, const Device& device) {
  return static_cast<double>(Value(cache->Stats(device.stream)).host_waits - before - 1);
}

// The whole walk: lookup, wait, the rows of the misses from host memory, fill. A miss is a key that
// was never asked for.
void MeasureWalk(EmbeddingCache* cache, const CacheRows& out, size_t lookups, Device* device) {
  const size_t row_bytes = kDim * sizeof(float);
  const size_t cold = lookups * kMisses;
  const std::vector<uint8_t> host = PatternRows(kDim, RowFormat::kFloat32, cold);
  const UpdateStamps stamps;
  std::mt19937_64 random(42);
  const DeviceArray keys(device, kBatch * sizeof(Key));
  std::vector<double> microseconds, queued, until_missed;
  double misses = 0;
  std::vector<uint8_t> rows(kBatch * row_bytes);
  std::vector<uint32_t> key_of_miss(kBatch);
  for (size_t i = 0; i < key_of_miss.size(); ++i) key_of_miss[i] = static_cast<uint32_t>(i);
  const int64_t waits_before = Value(cache->Stats(device->stream)).host_waits;
  for (size_t i = 0; i < lookups; ++i) {
    const std::vector<Key> batch = KeysWithMisses(i, kMisses, &random);
    Check(cudaMemcpyAsync(keys.as<void>(), batch.data(), kBatch * sizeof(Key),
                          cudaMemcpyHostToDevice, device->stream),
          "copy keys");
    device->Wait();

    const double begin = HostSeconds();
    auto lookup = Value(cache->Lookup({keys.as<Key>(), kBatch, out, false}, device->stream));
    Check(lookup->Wait());
    const double missed = HostSeconds();
    const absl::Span<const Key> asked = lookup->keys();
    const StampsRead read(&stamps, asked);
    for (size_t m = 0; m < asked.size(); ++m) {
      const uint64_t at = static_cast<uint64_t>(asked[m]) % cold;
      std::memcpy(rows.data() + m * row_bytes, host.data() + at * row_bytes, row_bytes);
    }
    CacheFill fill;
    fill.keys = asked;
    fill.rows = RowsView(rows.data(), row_bytes);
    fill.out = &out;
    fill.positions = lookup->positions();
    fill.key_of_miss = absl::MakeConstSpan(key_of_miss.data(), asked.size());
    fill.stamps = &read;
    Check(cache->Fill(fill, &device->memory, device->stream));
    const double filled = HostSeconds();
    device->Wait();  // the caller's wait for the output, not the cache's
    const double end = HostSeconds();
    misses += static_cast<double>(asked.size());
    if (i < lookups / 10) continue;  // warms up
    until_missed.push_back((missed - begin) * 1e6);
    queued.push_back((filled - begin) * 1e6);
    microseconds.push_back((end - begin) * 1e6);
  }
  Result("misses")
      .Add("batch", kBatch)
      .Add("embedding_dim", kDim)
      .Add("hit_rate", 1 - misses / static_cast<double>(lookups * kBatch))
      .Add("microseconds", microseconds)
      .Add("microseconds_until_misses_are_known", until_missed)
      .Add("microseconds_until_all_is_queued", queued)
      .Add("host_waits", WaitsSince(cache, waits_before, *device) / static_cast<double>(lookups));
}

// All hits: the calls, and the same lookup captured once and replayed.
void MeasureReplay(EmbeddingCache* cache, const CacheRows& out, size_t lookups, Device* device) {
  std::mt19937_64 random(43);
  const DeviceArray keys(device, HotKeys(&random));
  CacheBatch batch = {keys.as<Key>(), kBatch, out, false};
  std::vector<double> called, unwaited, replayed, on_device;
  const int64_t before = Value(cache->Stats(device->stream)).host_waits;
  for (size_t i = 0; i < lookups; ++i) {
    const double begin = HostSeconds();
    auto lookup = Value(cache->Lookup(batch, device->stream));
    Check(lookup->Wait());
    called.push_back((HostSeconds() - begin) * 1e6);
  }
  const double waits = WaitsSince(cache, before, *device) / static_cast<double>(lookups);
  batch.misses_get_default = true;  // hit_rate_threshold: 0
  const int64_t before_unwaited = Value(cache->Stats(device->stream)).host_waits;
  for (size_t i = 0; i < lookups; ++i) {
    const double begin = HostSeconds();
    auto lookup = Value(cache->Lookup(batch, device->stream));
    device->Wait();
    unwaited.push_back((HostSeconds() - begin) * 1e6);
  }
  const double waits_unwaited =
      WaitsSince(cache, before_unwaited, *device) / static_cast<double>(lookups);
  std::unique_ptr<CacheLookup> held;
  const Replay replay(*device, [&] { held = Value(cache->Lookup(batch, device->stream)); });
  for (size_t i = 0; i < lookups; ++i) {
    const double begin = HostSeconds();
    replay();
    device->Wait();
    replayed.push_back((HostSeconds() - begin) * 1e6);
    on_device.push_back(device->Seconds(replay) * 1e6);
  }
  Result("replay")
      .Add("batch", kBatch)
      .Add("embedding_dim", kDim)
      .Add("missed", static_cast<double>(held->keys().size()))
      .Add("microseconds_called", called)
      .Add("microseconds_called_threshold_0", unwaited)
      .Add("microseconds_replayed", replayed)
      .Add("microseconds_replayed_on_device", on_device)
      .Add("host_waits", waits)
      .Add("host_waits_threshold_0", waits_unwaited);
}

}  // namespace

void MeasureMisses(const BenchmarkSize& size, Device* device) {
  CacheOptions options;
  options.table = "benchmark";
  options.embedding_dim = kDim;
  // Room for all that is ever asked for: misses are those the batches were made with.
  options.capacity_rows = static_cast<int64_t>(2 * (kHot + size.miss_lookups * kMisses));
  const auto cache = Value(NewCudaCache(options, &device->memory, device->stream));
  FillRows(cache.get(), options, kHot, device);
  const DeviceArray out(device, kBatch * kDim * sizeof(float));
  const DeviceArray default_row(device, std::vector<float>(kDim));
  const CacheRows rows = {out.as<void>(), ElementType::kFloat32, default_row.as<void>()};
  const DeviceArray keys(device, std::vector<Key>(kBatch));
  PrepareLookups(cache.get(), {keys.as<Key>(), kBatch, rows, false}, 8, device);
  MeasureReplay(cache.get(), rows, size.miss_lookups, device);
  MeasureWalk(cache.get(), rows, size.miss_lookups, device);
}

}  // namespace tf_hps
