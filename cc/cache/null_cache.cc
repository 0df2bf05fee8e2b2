#include <algorithm>
#include <cstring>
#include <list>
#include <numeric>
#include <utility>

#include "cc/cache/embedding_cache.h"
#include "cc/common/mutex.h"

namespace tf_hps {
namespace {

// Every position is a miss.
class AllMissed : public CacheLookup {
 public:
  explicit AllMissed(absl::Span<const Key> keys) : keys_(keys), positions_(keys.size()) {
    std::iota(positions_.begin(), positions_.end(), 0);
  }
  absl::Status Wait() override { return absl::OkStatus(); }
  absl::Span<const Key> keys() const override { return keys_; }
  absl::Span<const uint32_t> positions() const override { return positions_; }
  bool IsCaptured() const override { return false; }

 private:
  absl::Span<const Key> keys_;
  std::vector<uint32_t> positions_;
};

class IdsOutOfRange : public CacheLookup {
 public:
  void Add(Key id, size_t position) {
    ids_.push_back(id);
    positions_.push_back(static_cast<uint32_t>(position));
  }
  absl::Status Wait() override { return absl::OkStatus(); }
  absl::Span<const Key> keys() const override { return ids_; }
  absl::Span<const uint32_t> positions() const override { return positions_; }
  bool IsCaptured() const override { return false; }

 private:
  std::vector<Key> ids_;
  std::vector<uint32_t> positions_;
};

class NullCache : public EmbeddingCache {
 public:
  explicit NullCache(const CacheOptions& options)
      : dim_(options.embedding_dim), format_(options.row_format) {}

  absl::StatusOr<std::unique_ptr<CacheLookup>> Lookup(const CacheBatch& batch,
                                                      CacheStream) override {
    const RowSink sink = SinkOf(batch.out);
    for (size_t p = 0; batch.misses_get_default && p < batch.n; ++p) {
      sink.PutDefault(p, batch.keys[p]);
    }
    return std::make_unique<AllMissed>(absl::MakeConstSpan(batch.keys, batch.n));
  }

  absl::StatusOr<std::unique_ptr<CacheLookup>> Combine(const CacheBatch& batch, const CacheBags&,
                                                       CacheStream) override {
    return std::make_unique<AllMissed>(absl::MakeConstSpan(batch.keys, batch.n));
  }

  absl::Status CombineRows(const float* rows, const CacheBatch& batch, const CacheBags& bags,
                           CacheStream) override {
    Bags on_host;
    on_host.splits = absl::MakeConstSpan(bags.splits, bags.bags + 1);
    on_host.weights = bags.weights;
    on_host.combiner = bags.combiner;
    BagCombiner combiner(on_host, 0, bags.bags, dim_, batch.out.type,
                         static_cast<uint8_t*>(batch.out.data));
    combiner.Add(rows, batch.n);
    combiner.Finish();
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<CacheLookup>> PrepareKeys(const CacheIds& ids, Key* keys,
                                                           CacheStream) override {
    auto bad = std::make_unique<IdsOutOfRange>();
    for (size_t p = 0; p < ids.n; ++p) {
      const int64_t id = ids.narrow ? static_cast<const int32_t*>(ids.ids)[p]
                                    : static_cast<const int64_t*>(ids.ids)[p];
      keys[p] = KeyOfId(id, ids.vocabulary_size, ids.wraps_negatives);
      if (!IsInRange(keys[p], ids.vocabulary_size)) bad->Add(id, p);
    }
    if (ids.vocabulary_size == 0) return std::unique_ptr<CacheLookup>();
    return bad;
  }

  absl::Status Fill(const CacheFill& fill, DeviceMemory*, CacheStream) override {
    if (fill.out == nullptr) return absl::OkStatus();
    const RowSink sink = SinkOf(*fill.out);
    for (size_t i = 0; i < fill.positions.size(); ++i) {
      const uint32_t k = fill.key_of_miss[i];
      if (fill.found.empty() || fill.found[k]) {
        sink.Put(fill.positions[i], fill.rows.row(k));
      } else {
        sink.PutDefault(fill.positions[i], fill.keys[k]);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Update(absl::Span<const Key>, const RowsView&, DeviceMemory*, CacheStream) override {
    return absl::OkStatus();
  }
  absl::Status Erase(absl::Span<const Key>, std::vector<Key>*, DeviceMemory*,
                     CacheStream) override {
    return absl::OkStatus();
  }
  absl::Status Send(absl::Span<const uint8_t> bytes, void* to, CacheStream) override {
    std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(to));
    return absl::OkStatus();
  }
  absl::StatusOr<const void*> Keep(absl::Span<const uint8_t> bytes, CacheStream) override {
    MutexLock lock(&mutex_);
    kept_.emplace_back(bytes.begin(), bytes.end());
    return static_cast<const void*>(kept_.back().data());
  }
  absl::StatusOr<std::vector<Key>> ResidentKeys(size_t, size_t, CacheStream) override {
    return std::vector<Key>();
  }
  absl::StatusOr<CacheStats> Stats(CacheStream) override { return CacheStats(); }

 private:
  RowSink SinkOf(const CacheRows& out) const {
    RowSink sink;
    sink.destination = static_cast<uint8_t*>(out.data);
    sink.stride = sink.out_bytes = dim_ * ElementBytes(out.type);
    sink.decode = SelectDecodeRow(format_, out.type, SelectedCpuIsa());
    sink.embedding_dim = dim_;
    sink.default_row = static_cast<const uint8_t*>(out.default_row);
    sink.default_buckets = out.default_buckets;
    return sink;
  }

  const int64_t dim_;
  const RowFormat format_;
  Mutex mutex_;
  std::list<std::vector<uint8_t>> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<EmbeddingCache> NewNullCache(const CacheOptions& options) {
  return std::make_unique<NullCache>(options);
}

}  // namespace tf_hps
