#ifndef TF_HPS_TESTS_CC_CACHE_CACHE_VERBS_H_
#define TF_HPS_TESTS_CC_CACHE_CACHE_VERBS_H_

#include <cuda_runtime_api.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/gpu/pooled_memory.h"
#include "cc/cache/embedding_cache.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {

using TestDeviceMemory = PooledMemory;

class TestStream {
 public:
  TestStream() {
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
  }
  ~TestStream() { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// An array in device memory, or on the host for the null cache. Exactly as long as asked: what is
// read beyond it is found.
template <class T>
class TestArray {
 public:
  TestArray(const std::vector<T>& values, bool on_device, cudaStream_t stream)
      : n_(values.size()), on_device_(on_device), stream_(stream), host_(values) {
    if (!on_device) return;
    device_ =
        static_cast<T*>(TestDeviceMemory().Allocate(std::max<size_t>(n_ * sizeof(T), 1), stream));
    if (n_ != 0) {
      (void)cudaMemcpyAsync(device_, host_.data(), n_ * sizeof(T), cudaMemcpyHostToDevice, stream);
    }
    (void)cudaStreamSynchronize(stream);
  }
  ~TestArray() {
    if (device_ != nullptr) TestDeviceMemory().Free(device_, stream_);
  }
  TestArray(const TestArray&) = delete;
  TestArray& operator=(const TestArray&) = delete;

  T* data() { return on_device_ ? device_ : host_.data(); }
  // Waits for the stream.
  std::vector<T> Read() {
    if (on_device_ && n_ != 0) {
      (void)cudaMemcpyAsync(host_.data(), device_, n_ * sizeof(T), cudaMemcpyDeviceToHost, stream_);
      EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    }
    return host_;
  }

 private:
  const size_t n_;
  const bool on_device_;
  const cudaStream_t stream_;
  std::vector<T> host_;
  T* device_ = nullptr;
};

// A table of float32 rows, the cache above it, and the walk that a kernel makes.
class CachedTable {
 public:
  static constexpr float kUntouched = -1;
  static constexpr float kDefault = -2;

  CachedTable(const CacheOptions& options, bool on_device)
      : on_device_(on_device), dim_(options.embedding_dim) {
    if (!on_device) {
      cache_ = NewNullCache(options);
      return;
    }
    auto cache = NewCudaCache(options, &memory_, home_.get());
    EXPECT_TRUE(cache.ok()) << cache.status();
    if (cache.ok()) cache_ = *std::move(cache);
  }

  // Every element of a row says whose it is.
  std::vector<float> RowOf(float first) const {
    std::vector<float> row(dim_);
    for (int64_t e = 0; e < dim_; ++e) row[e] = first + static_cast<float>(e) / 1024;
    return row;
  }

  // An update as the hierarchy makes it: store and cache inside one odd stamp.
  void Write(const std::vector<Key>& keys, const std::vector<float>& firsts, cudaStream_t stream) {
    UpdateStamps::Update update(&stamps_, keys, {});
    std::vector<float> rows;
    for (size_t i = 0; i < keys.size(); ++i) {
      stored_[keys[i]] = firsts[i];
      const std::vector<float> row = RowOf(firsts[i]);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    const RowsView view(reinterpret_cast<const uint8_t*>(rows.data()), dim_ * sizeof(float));
    EXPECT_TRUE(cache_->Update(keys, view, &memory_, stream).ok());
  }
  void Remove(const std::vector<Key>& keys, cudaStream_t stream) {
    UpdateStamps::Update update(&stamps_, keys, {});
    for (Key key : keys) stored_.erase(key);
    EXPECT_TRUE(cache_->Erase(keys, nullptr, &memory_, stream).ok());
  }

  // Bucket b's default row begins with kDefault - 10 * b.
  DefaultBuckets default_buckets;

  struct Asked {
    std::unique_ptr<TestArray<Key>> keys;
    std::unique_ptr<TestArray<float>> out;
    std::unique_ptr<TestArray<float>> default_row;
    std::unique_ptr<CacheLookup> lookup;
    CacheRows rows;
  };
  Asked Ask(const std::vector<Key>& keys, cudaStream_t stream, bool misses_get_default = false) {
    Asked asked;
    asked.keys = std::make_unique<TestArray<Key>>(keys, on_device_, stream);
    asked.out = std::make_unique<TestArray<float>>(
        std::vector<float>(keys.size() * dim_, kUntouched), on_device_, stream);
    std::vector<float> default_rows(dim_, kDefault);
    for (uint32_t bucket = 1; bucket < default_buckets.count; ++bucket) {
      const std::vector<float> row = RowOf(kDefault - 10 * static_cast<float>(bucket));
      default_rows.insert(default_rows.end(), row.begin(), row.end());
    }
    asked.default_row = std::make_unique<TestArray<float>>(default_rows, on_device_, stream);
    asked.rows = {asked.out->data(), ElementType::kFloat32, asked.default_row->data(),
                  default_buckets};
    CacheBatch batch = {asked.keys->data(), keys.size(), asked.rows, misses_get_default};
    auto lookup = cache_->Lookup(batch, stream);
    EXPECT_TRUE(lookup.ok()) << lookup.status();
    if (lookup.ok()) asked.lookup = *std::move(lookup);
    return asked;
  }

  // What the tiers below say about keys, at the time it is asked.
  struct Answer {
    std::vector<Key> keys;
    std::vector<uint8_t> found;
    std::vector<float> rows;
    std::vector<uint32_t> key_of_miss;
    std::unique_ptr<StampsRead> stamps;
  };
  Answer AskStore(absl::Span<const Key> missed) const {
    Answer answer;
    std::map<Key, uint32_t> index;
    for (Key key : missed) {
      const auto [at, is_new] = index.emplace(key, answer.keys.size());
      if (is_new) answer.keys.push_back(key);
      answer.key_of_miss.push_back(at->second);
    }
    answer.stamps = std::make_unique<StampsRead>(&stamps_, answer.keys);
    for (Key key : answer.keys) {
      const auto stored = stored_.find(key);
      answer.found.push_back(stored != stored_.end());
      const std::vector<float> row = RowOf(stored == stored_.end() ? 0 : stored->second);
      answer.rows.insert(answer.rows.end(), row.begin(), row.end());
    }
    return answer;
  }
  void Fill(const Answer& answer, const Asked* asked, cudaStream_t stream) {
    CacheFill fill;
    fill.keys = answer.keys;
    fill.rows =
        RowsView(reinterpret_cast<const uint8_t*>(answer.rows.data()), dim_ * sizeof(float));
    fill.found = answer.found;
    fill.stamps = answer.stamps.get();
    if (asked != nullptr) {
      fill.out = &asked->rows;
      fill.positions = asked->lookup->positions();
      fill.key_of_miss = answer.key_of_miss;
    }
    const absl::Status status = cache_->Fill(fill, &memory_, stream);
    EXPECT_TRUE(status.ok()) << status;
  }

  // The whole walk; the first element of each row, after a check of the others.
  std::vector<float> Find(const std::vector<Key>& keys, cudaStream_t stream) {
    Asked asked = Ask(keys, stream);
    EXPECT_TRUE(asked.lookup->Wait().ok());
    misses_ = asked.lookup->keys().size();
    if (misses_ != 0) Fill(AskStore(asked.lookup->keys()), &asked, stream);
    return Firsts(&asked);
  }
  std::vector<float> Firsts(Asked* asked) const {
    const std::vector<float> out = asked->out->Read();
    std::vector<float> firsts;
    for (size_t at = 0; at < out.size(); at += dim_) {
      const float first = out[at];
      const bool constant = first == kDefault || first == kUntouched;
      const std::vector<float> wanted = constant ? std::vector<float>(dim_, first) : RowOf(first);
      EXPECT_EQ(std::vector<float>(out.begin() + at, out.begin() + at + dim_), wanted);
      firsts.push_back(first);
    }
    return firsts;
  }
  // What Find has to say.
  std::vector<float> Wanted(const std::vector<Key>& keys) const {
    std::vector<float> wanted;
    for (Key key : keys) {
      const auto stored = stored_.find(key);
      wanted.push_back(stored == stored_.end() ? kDefault : stored->second);
    }
    return wanted;
  }

  CacheStats Stats(cudaStream_t stream) { return *cache_->Stats(stream); }
  EmbeddingCache* cache() { return cache_.get(); }
  size_t misses() const { return misses_; }
  DeviceMemory* memory() { return &memory_; }
  std::map<Key, float>& stored() { return stored_; }
  const UpdateStamps& stamps() const { return stamps_; }
  cudaStream_t home() const { return home_.get(); }
  bool on_device() const { return on_device_; }

 private:
  const bool on_device_;
  const int64_t dim_;
  TestDeviceMemory memory_;
  TestStream home_;
  UpdateStamps stamps_;
  std::map<Key, float> stored_;
  size_t misses_ = 0;
  std::unique_ptr<EmbeddingCache> cache_;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_CACHE_CACHE_VERBS_H_
