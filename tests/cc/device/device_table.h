#ifndef TF_HPS_TESTS_CC_DEVICE_DEVICE_TABLE_H_
#define TF_HPS_TESTS_CC_DEVICE_DEVICE_TABLE_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cc/hierarchy/device_lookup.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/table_handle.h"
#include "gtest/gtest.h"
#include "tests/cc/cache/cache_verbs.h"
#include "tests/cc/hierarchy/model_store.h"

namespace tf_hps {

// Device memory that can be out, for the tables alone.
class ScarceMemory : public TestDeviceMemory {
 public:
  void* Allocate(size_t bytes, CacheStream stream) override {
    return is_out ? nullptr : TestDeviceMemory::Allocate(bytes, stream);
  }
  std::atomic<bool> is_out{false};
};

// A table of float32 rows, all elements of a row equal, on a model store, and devices that look it
// up: number d with a stream of its own.
class DeviceTable {
 public:
  static constexpr int64_t kDim = 4;
  static constexpr float kDefault = -2;

  explicit DeviceTable(nlohmann::json gpu_cache, int devices = 1, bool with_memory = false)
      : streams_(devices) {
    RegisterModelBackends();
    ModelStates()["model_memory"] = std::make_shared<ModelState>();
    disk_ = ModelStates()["model_disk"] = std::make_shared<ModelState>();
    TableSpec spec;
    spec.deployment = "test";
    spec.name = "movie_id";
    spec.embedding_dim = kDim;
    TableConfig config;
    config.name = spec.name;
    config.default_row = std::vector<float>(kDim, kDefault);
    config.sections["gpu_cache"] = std::move(gpu_cache);
    config.sections["model_disk"] = {{"preload", false}};
    if (with_memory) config.sections["model_memory"] = {{"preload", false}};
    auto table = EmbeddingTable::Open(spec, config);
    EXPECT_TRUE(table.ok()) << table.status();
    table_ = *table;
    handle_ = *TableHandle::Create(table_, config);
  }

  CacheDevice Device(int d = 0) {
    CacheDevice device;
    device.id = &streams_[d];
    device.name = "/GPU:" + std::to_string(d);
    device.memory = &memory_;
    device.stream = streams_[d].get();
    device.new_cache = &NewCudaCache;
    return device;
  }
  absl::StatusOr<DeviceCache*> Cache(int d = 0) { return table_->CacheOn(Device(d)); }

  void Insert(const std::vector<Key>& keys, float element) {
    const std::vector<float> rows(keys.size() * kDim, element);
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()), kDim * sizeof(float));
    const absl::Status status = table_->Apply({keys, view, {}});
    EXPECT_TRUE(status.ok()) << status;
  }
  void Erase(const std::vector<Key>& keys) {
    const absl::Status status = table_->Apply({{}, RowsView(nullptr, kDim * sizeof(float)), keys});
    EXPECT_TRUE(status.ok()) << status;
  }

  // One lookup's arrays, to be asked once or again and again.
  struct Asked {
    std::unique_ptr<TestArray<Key>> keys;
    std::unique_ptr<TestArray<float>> out;
    std::unique_ptr<DeviceRowLookup> lookup;
  };
  absl::StatusOr<Asked> Prepare(const std::vector<Key>& keys, cudaStream_t stream, int d = 0) {
    auto cache = Cache(d);
    if (!cache.ok()) return cache.status();
    auto default_row = (*cache)->KeepRow(handle_->default_row(ElementType::kFloat32));
    if (!default_row.ok()) return default_row.status();
    Asked asked;
    asked.keys = std::make_unique<TestArray<Key>>(keys, true, stream);
    asked.out = std::make_unique<TestArray<float>>(std::vector<float>(keys.size() * kDim, -1), true,
                                                   stream);
    const CacheBatch batch = {
        asked.keys->data(), keys.size(), {asked.out->data(), ElementType::kFloat32, *default_row}};
    asked.lookup = std::make_unique<DeviceRowLookup>(table_.get(), *cache, batch, stream);
    return asked;
  }
  // All steps, waiting for what each wants.
  static absl::Status Run(DeviceLookup* lookup, cudaStream_t stream) {
    while (true) {
      const absl::StatusOr<WaitsFor> next = lookup->Step();
      if (!next.ok()) return next.status();
      if (*next == WaitsFor::kNothing) return absl::OkStatus();
      if (*next == WaitsFor::kDevice) (void)cudaStreamSynchronize(stream);
    }
  }
  // An element of each row, after a check that the others are equal.
  static std::vector<float> Elements(Asked* asked) {
    std::vector<float> elements;
    const std::vector<float> out = asked->out->Read();
    for (size_t at = 0; at < out.size(); at += kDim) {
      for (int64_t e = 1; e < kDim; ++e) EXPECT_EQ(out[at + e], out[at]) << "a torn row";
      elements.push_back(out[at]);
    }
    return elements;
  }
  absl::StatusOr<std::vector<float>> TryFind(const std::vector<Key>& keys, int d = 0,
                                             cudaStream_t stream = nullptr) {
    if (stream == nullptr) stream = streams_[d].get();
    auto asked = Prepare(keys, stream, d);
    if (!asked.ok()) return asked.status();
    if (absl::Status status = Run(asked->lookup.get(), stream); !status.ok()) return status;
    return Elements(&*asked);
  }
  std::vector<float> Find(const std::vector<Key>& keys, int d = 0, cudaStream_t stream = nullptr) {
    auto found = TryFind(keys, d, stream);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : std::vector<float>();
  }

  // The keys of each read of the store.
  std::vector<std::vector<Key>> Reads() const {
    MutexLock lock(&disk_->mutex);
    return disk_->asked;
  }
  ModelState& disk() { return *disk_; }
  nlohmann::json Stats(int d = 0) const { return table_->Stats()["devices"][d]; }
  EmbeddingTable* table() { return table_.get(); }
  const TableHandle& handle() const { return *handle_; }
  cudaStream_t stream(int d = 0) const { return streams_[d].get(); }
  ScarceMemory* memory() { return &memory_; }
  void Drop() {
    handle_.reset();
    table_.reset();
  }

 private:
  ScarceMemory memory_;
  std::vector<TestStream> streams_;
  std::shared_ptr<ModelState> disk_;
  std::shared_ptr<EmbeddingTable> table_;
  std::shared_ptr<TableHandle> handle_;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_DEVICE_DEVICE_TABLE_H_
