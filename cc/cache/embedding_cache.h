#ifndef TF_HPS_CC_CACHE_EMBEDDING_CACHE_H_
#define TF_HPS_CC_CACHE_EMBEDDING_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/cache/cuda_cache_ref.h"
#include "cc/common/bag_combiner.h"
#include "cc/common/default_rows.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"
#include "cc/common/update_stamps.h"

namespace tf_hps {

using CacheStream = void*;  // a cudaStream_t; null: the default stream

// Device memory by the order of a stream: what is freed may be used again by work queued later on
// that stream. TensorFlow's allocator in an op, cudaMallocAsync in tests.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual void* Allocate(size_t bytes, CacheStream stream) = 0;  // 256-aligned; null: none left
  virtual void Free(void* memory, CacheStream stream) = 0;
  virtual size_t FreeBytes() = 0;
};

struct CacheOptions {
  std::string table;  // for messages
  int64_t embedding_dim = 0;
  RowFormat row_format = RowFormat::kFloat32;
  // Rows, or bytes of device memory; exactly one. 1.1 times a table's rows keep every row.
  int64_t capacity_rows = 0;
  int64_t capacity_bytes = 0;
  CachePolicy policy = CachePolicy::kLfu;
  int device = -1;  // CUDA's number; -1: the current one
};

// Of device memory, for a stored row of so many bytes and its share of a line of keys.
inline size_t CacheBytesPerRow(size_t row_bytes) {
  return (row_bytes + 15) / 16 * 16 + kCacheLineWords * sizeof(CacheWord) / kCacheWays + 1;
}

// Rows in the cache's memory, decoded: position p has embedding_dim elements from p on.
struct CacheRows {
  void* data = nullptr;
  ElementType type = ElementType::kFloat32;
  // Of each bucket embedding_dim elements, in the cache's memory too.
  const void* default_row = nullptr;
  DefaultBuckets default_buckets = {};
};

// Pointers are to the cache's memory: the device's, or the host's for the null cache.
struct CacheBatch {
  const Key* keys = nullptr;
  size_t n = 0;
  CacheRows out;
  // Positions without a row get the default row at once; a Fill may write them later all the same.
  bool misses_get_default = false;
};

// A batch's ids as they come, in the cache's memory, when they are no keys yet.
struct CacheIds {
  const void* ids = nullptr;
  bool narrow = false;  // int32, else int64
  size_t n = 0;
  int64_t vocabulary_size = 0;   // 0: every id is in range
  bool wraps_negatives = false;  // -1 is the last of the vocabulary
};

struct CacheBags {
  const int64_t* splits = nullptr;  // bags + 1 of them, ascending, the last one n
  size_t bags = 0;
  const float* weights = nullptr;  // one an id; null: all 1
  Combiner combiner = Combiner::kSum;
  const float* default_row = nullptr;  // of each bucket embedding_dim float32
  DefaultBuckets default_buckets = {};
};

// A lookup's misses, for the host. Destroyed any time after Lookup; one made while its stream was
// captured must outlive the graph, and each replay replaces its misses.
class CacheLookup {
 public:
  virtual ~CacheLookup() = default;
  // Waits for the device, at most once; the misses are known then. It does not wait for a captured
  // lookup: whoever waited for the replay may read it.
  virtual absl::Status Wait() = 0;
  // In no order; a key as often as it was asked for.
  virtual absl::Span<const Key> keys() const = 0;
  virtual absl::Span<const uint32_t> positions() const = 0;  // of keys()[i] in the batch
  virtual bool IsCaptured() const = 0;
};

struct CacheFill {
  absl::Span<const Key> keys;       // each once
  RowsView rows = {nullptr, 0};     // rows.row(i) is that of keys[i], in the table's format
  absl::Span<const uint8_t> found;  // 0: nobody knows keys[i], it has the default row. Empty: all 1
  // Where the misses' rows go: all those of the lookup, miss i has the row of keys[key_of_miss[i]].
  // Null: nowhere.
  const CacheRows* out = nullptr;
  absl::Span<const uint32_t> positions;
  absl::Span<const uint32_t> key_of_miss;
  // keys[i] is not kept where stamps->Moved(i). Null: nothing is kept.
  const StampsRead* stamps = nullptr;
  // Keeps all, without stamps: the caller is inside the UpdateStamps::Update of these keys.
  bool inside_update = false;
};

struct CacheStats {
  int64_t capacity_rows = 0;
  int64_t bytes = 0;
  int64_t rows = 0;
  int64_t absent = 0;  // keys remembered as unknown
  int64_t evictions = 0;
  int64_t moves = 0;    // keys that made room in their home
  int64_t refused = 0;  // rows that were not kept because their stamp had moved
  int64_t host_waits = 0;
};

// Hot rows of one table on one device. Thread-safe. Calls queue work on the stream given and return
// without waiting, unless said otherwise. Reads need no order from the caller: writers put
// themselves after and before the other streams that were ever used with the cache. Streams outlive
// it.
class EmbeddingCache {
 public:
  virtual ~EmbeddingCache() = default;

  // Writes resident rows (and default rows of keys known to be absent) to batch.out. Other
  // positions are misses; their output is undefined until a Fill, or the default row if the batch
  // says so. May be captured into a graph on a stream that was used before; it then runs on such
  // streams only.
  virtual absl::StatusOr<std::unique_ptr<CacheLookup>> Lookup(const CacheBatch& batch,
                                                              CacheStream stream) = 0;
  // Writes the bags whose rows are all resident, adding as BagCombiner does. Where keys are missing
  // the caller looks rows up into float32 memory, fills them, and lets CombineRows write all bags.
  virtual absl::StatusOr<std::unique_ptr<CacheLookup>> Combine(const CacheBatch& batch,
                                                               const CacheBags& bags,
                                                               CacheStream stream) = 0;
  // The bags of rows[n, embedding_dim].
  virtual absl::Status CombineRows(const float* rows, const CacheBatch& batch,
                                   const CacheBags& bags, CacheStream stream) = 0;

  // Writes ids as keys. The lookup it gives has the ids that are out of range in the place of
  // misses; null where none can be.
  virtual absl::StatusOr<std::unique_ptr<CacheLookup>> PrepareKeys(const CacheIds& ids, Key* keys,
                                                                   CacheStream stream) = 0;

  // One transfer. The rows are read before it returns; work memory comes from `memory`.
  virtual absl::Status Fill(const CacheFill& fill, DeviceMemory* memory, CacheStream stream) = 0;
  // Replaces rows that are resident, marks of absence too; other keys are left alone. With equal
  // keys the last one counts. Update and Erase come inside an UpdateStamps::Update. With `taken`
  // Erase waits, and appends the keys that were resident.
  virtual absl::Status Update(absl::Span<const Key> keys, const RowsView& rows,
                              DeviceMemory* memory, CacheStream stream) = 0;
  virtual absl::Status Erase(absl::Span<const Key> keys, std::vector<Key>* taken,
                             DeviceMemory* memory, CacheStream stream) = 0;
  // Copies bytes to the cache's memory; they are read before it returns.
  virtual absl::Status Send(absl::Span<const uint8_t> bytes, void* to, CacheStream stream) = 0;
  // A copy of `bytes` in the cache's memory, for default rows: as long as the cache lives, for work
  // queued from now on.
  virtual absl::StatusOr<const void*> Keep(absl::Span<const uint8_t> bytes, CacheStream stream) = 0;

  // Keys resident in part `slice` of `slices`, for a refresh bit by bit. Waits. A key may be seen
  // twice or not at all if a fill moved it between slices: Stats().moves tells.
  virtual absl::StatusOr<std::vector<Key>> ResidentKeys(size_t slice, size_t slices,
                                                        CacheStream stream) = 0;
  // Waits for what was queued on the stream.
  virtual absl::StatusOr<CacheStats> Stats(CacheStream stream) = 0;
};

// Holds nothing; its memory is the host's.
std::unique_ptr<EmbeddingCache> NewNullCache(const CacheOptions& options);

// A thread that calls it has the cache's device as its current one from then on. `memory` outlives
// the cache. ResourceExhausted names the memory asked for and free, FailedPrecondition the versions
// where the driver is older than the CUDA we were built with.
absl::StatusOr<std::unique_ptr<EmbeddingCache>> NewCudaCache(const CacheOptions& options,
                                                             DeviceMemory* memory,
                                                             CacheStream stream);

// As CUDA knows it, of the thread's current device: for a DeviceMemory that does not count.
size_t CudaFreeBytes();

}  // namespace tf_hps

#endif  // TF_HPS_CC_CACHE_EMBEDDING_CACHE_H_
