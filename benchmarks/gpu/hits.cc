// Lookups that find every row, against a copy and a gather of known indices.
#include <memory>

#include "benchmarks/gpu/gpu_cache.h"
#include "benchmarks/gpu/key_batches.h"
#include "benchmarks/gpu/plain_kernels.h"
#include "benchmarks/gpu/resident_rows.h"

namespace tf_hps {
namespace {

// Outputs of more than the L2 cache, so that a batch does not find its lines there.
constexpr size_t kOutputRows = size_t{1} << 20;
// Captured ones and called ones at the smallest batch, and some that the pool keeps.
constexpr size_t kLookupsAtOnce = 40;

struct Table {
  CacheOptions options;
  ElementType out_type;
  EmbeddingCache* cache;
  const void* dense;  // the same rows, key by key
  void* out;
  const void* default_row;

  size_t row_bytes() const { return RowBytes(options.row_format, options.embedding_dim); }
  size_t out_bytes() const { return options.embedding_dim * ElementBytes(out_type); }
  uint8_t* OutAt(size_t position) const {
    return static_cast<uint8_t*>(out) + position % kOutputRows * out_bytes();
  }
  CacheBatch Batch(const Key* keys, size_t first, size_t n) const {
    return {keys + first, n, {OutAt(first), out_type, default_row}, false};
  }
};

struct Keys {
  const char* distribution;
  std::vector<Key> host;
  std::unique_ptr<DeviceArray> on_device;
};

class Copies {
 public:
  Copies(size_t bytes, Device* device)
      : bytes_(bytes), device_(device), from_(device, bytes), to_(device, bytes) {
    Check(cudaMemsetAsync(from_.as<void>(), 1, bytes, device->stream), "write a buffer");
  }
  // Bytes a second, read and written.
  double Memcpy() const {
    return 2.0 * bytes_ / device_->Seconds([&] {
      Check(cudaMemcpyAsync(to_.as<void>(), from_.as<void>(), bytes_, cudaMemcpyDeviceToDevice,
                            device_->stream),
            "copy a buffer");
    });
  }
  double Kernel() const {
    return 2.0 * bytes_ / device_->Seconds([&] {
      Check(LaunchPlainCopy(from_.as<void>(), to_.as<void>(), bytes_, device_->stream),
            "start the copy kernel");
    });
  }

 private:
  const size_t bytes_;
  Device* const device_;
  const DeviceArray from_;
  const DeviceArray to_;
};

// Misses among all keys, and whether the rows that came are those asked for.
size_t CheckRows(const Table& table, const Keys& keys, uint32_t n, Device* device) {
  size_t misses = 0;
  for (size_t first = 0; first < keys.host.size(); first += n) {
    auto lookup = Value(
        table.cache->Lookup(table.Batch(keys.on_device->as<Key>(), first, n), device->stream));
    Check(lookup->Wait());
    misses += lookup->keys().size();
  }
  if (misses != 0) return misses;
  std::vector<uint8_t> rows(n * table.out_bytes());
  const size_t last = keys.host.size() - n;
  Check(cudaMemcpyAsync(rows.data(), table.OutAt(last), rows.size(), cudaMemcpyDeviceToHost,
                        device->stream),
        "read rows");
  device->Wait();
  for (size_t p = 0; p < n; ++p) {
    const float came = FirstElement(rows.data() + p * table.out_bytes(), table.out_type);
    if (came != static_cast<float>(keys.host[last + p] % kPatternRows)) {
      Check(absl::DataLossError(absl::StrCat("key ", keys.host[last + p], " has a row of ", came)));
    }
  }
  return 0;
}

void MeasureBatches(const Table& table, const Keys& keys, uint32_t n, const Copies& copies,
                    size_t rounds, Device* device) {
  const size_t misses = CheckRows(table, keys, n, device);
  // As many batches as fill the outputs, or four.
  const size_t batches = std::min(keys.host.size() / n, std::max<size_t>(kOutputRows / n, 4));
  std::vector<std::unique_ptr<CacheLookup>> lookups;
  const auto look_up = [&] {
    for (size_t b = 0; b < batches; ++b) {
      lookups.push_back(Value(
          table.cache->Lookup(table.Batch(keys.on_device->as<Key>(), b * n, n), device->stream)));
    }
  };
  const auto gather = [&] {
    for (size_t b = 0; b < batches; ++b) {
      Check(LaunchPlainGather(table.dense, keys.on_device->as<Key>() + b * n, n, table.row_bytes(),
                              table.OutAt(b * n), device->stream),
            "start the gather kernel");
    }
  };
  std::vector<std::unique_ptr<CacheLookup>> held;  // as long as their graph
  const Replay captured_lookups(*device, look_up);
  held.swap(lookups);
  const Replay captured_gathers(*device, gather);

  const double asked = static_cast<double>(batches) * n;
  const double moved = asked * (table.row_bytes() + table.out_bytes());
  const bool same_bytes = table.row_bytes() == table.out_bytes();
  std::vector<double> memcpy_rate, copy_rate, keys_rate, called_rate, of_copy, of_gather;
  for (size_t round = 0; round <= rounds; ++round) {
    const double copied = copies.Memcpy();
    const double copied_by_kernel = copies.Kernel();
    const double gather_time = device->Seconds(captured_gathers);
    const double lookup_time = device->Seconds(captured_lookups);
    const double called_time = device->Seconds(look_up);
    lookups.clear();
    if (round == 0) continue;  // warms up
    memcpy_rate.push_back(copied);
    copy_rate.push_back(copied_by_kernel);
    keys_rate.push_back(asked / lookup_time);
    called_rate.push_back(asked / called_time);
    of_copy.push_back(moved / lookup_time / copied);
    of_gather.push_back(gather_time / lookup_time);
  }
  Result result("hits");
  result.Add("embedding_dim", static_cast<double>(table.options.embedding_dim))
      .Add("row_format", table.options.row_format == RowFormat::kFloat32 ? "float32" : "float16")
      .Add("out", table.out_type == ElementType::kFloat32 ? "float32" : "float16")
      .Add("distribution", keys.distribution)
      .Add("batch", n)
      .Add("missed", static_cast<double>(misses) / keys.host.size())
      .Add("memcpy_bytes_per_second", memcpy_rate)
      .Add("copy_kernel_bytes_per_second", copy_rate)
      .Add("keys_per_second", keys_rate)
      .Add("keys_per_second_called", called_rate)
      .Add("of_copy", of_copy);
  if (same_bytes) result.Add("of_gather", of_gather);
}

void MeasureTable(const CacheOptions& options, const std::vector<ElementType>& out_types,
                  const std::vector<Keys>& key_sets, const BenchmarkSize& size,
                  const Copies& copies, Device* device) {
  const size_t row_bytes = RowBytes(options.row_format, options.embedding_dim);
  const double begin = HostSeconds();
  const auto cache = Value(NewCudaCache(options, &device->memory, device->stream));
  FillRows(cache.get(), options, size.rows, device);
  const CacheStats stats = Value(cache->Stats(device->stream));
  Result("filled")
      .Add("embedding_dim", static_cast<double>(options.embedding_dim))
      .Add("rows", static_cast<double>(size.rows))
      .Add("resident", static_cast<double>(stats.rows))
      .Add("capacity_rows", static_cast<double>(stats.capacity_rows))
      .Add("moves", static_cast<double>(stats.moves))
      .Add("evictions", static_cast<double>(stats.evictions))
      .Add("seconds", HostSeconds() - begin);

  const DeviceArray pattern(device,
                            PatternRows(options.embedding_dim, options.row_format, kPatternRows));
  const DeviceArray dense(device, size.rows * row_bytes);
  Check(LaunchRepeatRows(pattern.as<void>(), kPatternRows, row_bytes, size.rows, dense.as<void>(),
                         device->stream),
        "write the dense table");
  const DeviceArray out(device, kOutputRows * options.embedding_dim * sizeof(float));
  const DeviceArray default_row(device, std::vector<float>(options.embedding_dim));
  for (ElementType out_type : out_types) {
    const Table table = {options,          out_type,       cache.get(),
                         dense.as<void>(), out.as<void>(), default_row.as<void>()};
    PrepareLookups(cache.get(),
                   table.Batch(key_sets.front().on_device->as<Key>(), 0, size.batches.back()),
                   kLookupsAtOnce, device);
    for (const Keys& keys : key_sets) {
      for (uint32_t n : size.batches) {
        MeasureBatches(table, keys, n, copies, size.rounds, device);
      }
    }
  }
}

}  // namespace

void MeasureHits(const BenchmarkSize& size, Device* device) {
  std::vector<Keys> key_sets;
  key_sets.push_back({"uniform", UniformKeys(size.rows, size.pool), nullptr});
  key_sets.push_back({"zipf 1.05", ZipfKeys(size.rows).Batch(size.pool), nullptr});
  for (Keys& keys : key_sets) keys.on_device = std::make_unique<DeviceArray>(device, keys.host);
  const Copies copies(size.copy_bytes, device);
  CacheOptions options;
  options.table = "benchmark";
  options.capacity_rows = static_cast<int64_t>(size.rows * 11 / 10);
  for (int64_t dim : {128, 64, 32, 16}) {
    options.embedding_dim = dim;
    MeasureTable(options, {ElementType::kFloat32}, key_sets, size, copies, device);
  }
  options.embedding_dim = 128;
  options.row_format = RowFormat::kFloat16;
  MeasureTable(options, {ElementType::kFloat16, ElementType::kFloat32}, key_sets, size, copies,
               device);
}

}  // namespace tf_hps
