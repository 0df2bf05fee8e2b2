// Small lookups through the hierarchy: cache, memory store below it, fill. The walk of TensorFlow's
// kernel without TensorFlow: its callback is a wait here, and no thread hands over to another.
#include <memory>
#include <random>

#include "benchmarks/gpu/gpu_cache.h"
#include "benchmarks/gpu/resident_rows.h"
#include "benchmarks/gpu/small_batches.h"
#include "cc/hierarchy/device_lookup_group.h"
#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {
namespace {

std::shared_ptr<EmbeddingTable> OpenTable(uint64_t rows) {
  TableSpec spec;
  spec.deployment = "benchmark";
  spec.name = "tiers";
  spec.embedding_dim = kDim;
  TableConfig config;
  config.name = spec.name;
  config.sections["memory"] = {{"preload", false}};
  config.sections["gpu_cache"] = {{"capacity_rows", 2 * rows}};
  auto table = Value(EmbeddingTable::Open(spec, config));
  constexpr uint64_t kBlock = 64 * kPatternRows;
  const std::vector<uint8_t> bytes = PatternRows(kDim, RowFormat::kFloat32, kBlock);
  std::vector<Key> keys;
  for (uint64_t key = 0; key < rows; key += keys.size()) {
    keys.resize(std::min(kBlock, rows - key));
    std::iota(keys.begin(), keys.end(), static_cast<Key>(key));
    Check(table->Apply({keys, RowsView(bytes.data(), kDim * sizeof(float)), {}}));
  }
  return table;
}

void MeasureWalk(EmbeddingTable* table, DeviceCache* cache, size_t misses, size_t lookups,
                 const CacheRows& out, Device* device) {
  std::mt19937_64 random(44);
  const DeviceArray keys(device, kBatch * sizeof(Key));
  std::vector<double> microseconds, until_missed, queued;
  std::vector<Key> batch;
  const int64_t missed_before = cache->Stats()["misses"];
  const int64_t waits_before = cache->Stats()["host_waits"];
  for (size_t i = 0; i < lookups; ++i) {
    batch = KeysWithMisses(i, misses, &random);
    Check(cudaMemcpyAsync(keys.as<void>(), batch.data(), kBatch * sizeof(Key),
                          cudaMemcpyHostToDevice, device->stream),
          "copy keys");
    device->Wait();

    const double begin = HostSeconds();
    DeviceLookupGroup group;
    group.Add(std::make_unique<DeviceRowLookup>(
                  table, cache, CacheBatch{keys.as<Key>(), kBatch, out, false}, device->stream),
              &table->gate());
    WaitsFor next = Value(group.Step());
    if (next == WaitsFor::kDevice) {
      device->Wait();
      next = Value(group.Step());
    }
    const double missed = HostSeconds();
    if (next == WaitsFor::kStores) next = Value(group.Step());
    const double filled = HostSeconds();
    device->Wait();  // the caller's wait for the output
    const double end = HostSeconds();
    if (i < lookups / 10) continue;  // warms up
    until_missed.push_back((missed - begin) * 1e6);
    queued.push_back((filled - begin) * 1e6);
    microseconds.push_back((end - begin) * 1e6);
  }
  const nlohmann::json stats = cache->Stats();
  const double missed = static_cast<double>(stats["misses"].get<int64_t>() - missed_before);

  std::vector<float> rows(kBatch * kDim);
  Check(cudaMemcpyAsync(rows.data(), out.data, rows.size() * sizeof(float), cudaMemcpyDeviceToHost,
                        device->stream),
        "read rows");
  device->Wait();
  for (size_t p = 0; p < kBatch; ++p) {
    if (rows[p * kDim] == static_cast<float>(batch[p] % kPatternRows)) continue;
    Check(absl::DataLossError(absl::StrCat("key ", batch[p], " has a row of ", rows[p * kDim])));
  }
  Result("tiers")
      .Add("batch", kBatch)
      .Add("embedding_dim", kDim)
      .Add("misses", static_cast<double>(misses))
      .Add("hit_rate", 1 - missed / static_cast<double>(lookups * kBatch))
      .Add("microseconds", microseconds)
      .Add("microseconds_until_misses_are_known", until_missed)
      .Add("microseconds_until_all_is_queued", queued)
      // The callback's wait and the lookup's own are one. Stats waits once itself.
      .Add("host_waits",
           static_cast<double>(stats["host_waits"].get<int64_t>() - waits_before - 1) / lookups);
}

}  // namespace

void MeasureTiers(const BenchmarkSize& size, Device* device) {
  const uint64_t rows = kHot + size.miss_lookups * kMisses;
  const auto table = OpenTable(rows);
  CacheDevice of_table;
  of_table.id = device;
  of_table.name = "/GPU:0";
  of_table.memory = &device->memory;
  of_table.stream = device->stream;
  of_table.new_cache = &NewCudaCache;
  DeviceCache* const cache = Value(table->CacheOn(of_table));
  FillRows(cache->cache(), cache->options().cache, kHot, device);
  const DeviceArray out(device, kBatch * kDim * sizeof(float));
  const std::vector<uint8_t> zeros(kDim * sizeof(float));
  const CacheRows to = {out.as<void>(), ElementType::kFloat32, Value(cache->KeepRow(zeros))};
  for (size_t misses : {size_t{0}, kMisses}) {
    MeasureWalk(table.get(), cache, misses, size.miss_lookups, to, device);
  }
}

}  // namespace tf_hps
