// How the hit rate of a GPU's cache goes from batch to batch, by `hit_rate_threshold`, under zipf
// popularities, with a hot set that is exchanged as a whole halfway. Hit rates do not depend on the
// device: the cache runs on emulated CUDA. See benchmarks/README.md, "gpu_hit_rate".
//
//   gpu_hit_rate [rows, default 20000] [batches, default 240]
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "benchmarks/cc/zipf_stream.h"
#include "benchmarks/gpu/pooled_memory.h"
#include "cc/hierarchy/device_lookup_group.h"
#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {
namespace {

constexpr size_t kBatch = 256;
constexpr int64_t kDim = 4;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}
template <class T>
T Value(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

// All rows in memory, a tenth of them on the device.
std::shared_ptr<EmbeddingTable> OpenTable(int64_t rows, double threshold) {
  TableSpec spec;
  spec.deployment = "benchmark";
  spec.name = "items";
  spec.embedding_dim = kDim;
  TableConfig config;
  config.name = spec.name;
  config.sections["memory"] = {{"preload", false}};
  config.sections["gpu_cache"] = {{"capacity_rows", rows / 10}, {"hit_rate_threshold", threshold}};
  auto table = Value(EmbeddingTable::Open(spec, config));
  std::vector<Key> keys(rows);
  std::iota(keys.begin(), keys.end(), 0);
  const std::vector<float> values(rows * kDim, 1);
  Check(table->Apply(
      {keys, RowsView(reinterpret_cast<const uint8_t*>(values.data()), kDim * sizeof(float)), {}}));
  return table;
}

// A stream, a batch's keys and its output.
class Device {
 public:
  Device() {
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) std::exit(1);
    keys = static_cast<Key*>(memory.Allocate(kBatch * sizeof(Key), stream));
    out = static_cast<float*>(memory.Allocate(kBatch * kDim * sizeof(float), stream));
  }
  ~Device() {
    memory.Free(keys, stream);
    memory.Free(out, stream);
    (void)cudaStreamDestroy(stream);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  void Wait() const { (void)cudaStreamSynchronize(stream); }

  PooledMemory memory;
  cudaStream_t stream = nullptr;
  Key* keys = nullptr;
  float* out = nullptr;
};

// One batch, and what it brings in the background too: that is there before the next one. Positions
// that got the default row though they have another.
size_t LookUp(EmbeddingTable* table, DeviceCache* cache, const std::vector<Key>& keys,
              const CacheRows& to, Device* device) {
  (void)cudaMemcpyAsync(device->keys, keys.data(), kBatch * sizeof(Key), cudaMemcpyHostToDevice,
                        device->stream);
  const CacheBatch batch{device->keys, kBatch, to, false};
  DeviceLookupGroup group;
  const bool is_exact = cache->options().IsExact();
  group.Add(std::make_unique<DeviceRowLookup>(table, cache, batch, device->stream),
            is_exact ? &table->gate() : nullptr);
  for (WaitsFor next = Value(group.Step()); next != WaitsFor::kNothing;
       next = Value(group.Step())) {
    if (next == WaitsFor::kDevice) device->Wait();
  }
  cache->background()->Wait();
  std::vector<float> rows(kBatch * kDim);
  (void)cudaMemcpyAsync(rows.data(), device->out, rows.size() * sizeof(float),
                        cudaMemcpyDeviceToHost, device->stream);
  device->Wait();
  size_t defaults = 0;
  for (size_t p = 0; p < kBatch; ++p) defaults += rows[p * kDim] != 1;
  return defaults;
}

void Measure(int64_t rows, int64_t batches, double exponent, double threshold) {
  Device device;
  const auto table = OpenTable(rows, threshold);
  CacheDevice of_table;
  of_table.id = &device;
  of_table.name = "/GPU:0";
  of_table.memory = &device.memory;
  of_table.stream = device.stream;
  of_table.new_cache = &NewCudaCache;
  DeviceCache* const cache = Value(table->CacheOn(of_table));
  const std::vector<uint8_t> zeros(kDim * sizeof(float));
  const CacheRows to = {device.out, ElementType::kFloat32, Value(cache->KeepRow(zeros))};
  ZipfStream stream(rows, exponent);
  std::vector<Key> keys(kBatch);
  int64_t missed_before = 0;
  for (int64_t b = 0; b < batches; ++b) {
    if (b == batches / 2) stream.Reverse();
    for (Key& key : keys) key = stream.Next();
    const size_t defaults = LookUp(table.get(), cache, keys, to, &device);
    const int64_t missed = cache->Stats()["misses"];
    std::printf("%.1f\t%.1f\t%d\t%.4f\t%.4f\n", exponent, threshold, static_cast<int>(b),
                1 - static_cast<double>(missed - missed_before) / kBatch,
                static_cast<double>(defaults) / kBatch);
    missed_before = missed;
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 20000;
  const int64_t batches = argc > 2 ? std::atoll(argv[2]) : 240;
  std::printf("zipf\tthreshold\tbatch\thit_rate\tdefault_rows\n");
  for (const double exponent : {0.8, 1.0, 1.2}) {
    for (const double threshold : {0.0, 0.6, 0.8, 1.0}) {
      tf_hps::Measure(rows, batches, exponent, threshold);
    }
  }
  return 0;
}
