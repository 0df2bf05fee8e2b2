#include "cc/cache/cuda_cache.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/cache/cuda_status.h"

namespace tf_hps {
namespace {

absl::Status CheckOptions(const CacheOptions& options) {
  const auto bad = [&](absl::string_view said, int64_t value) {
    return absl::InvalidArgumentError(
        absl::StrCat("the cache of table \"", options.table, "\": ", said, ". Received: ", value));
  };
  if (options.embedding_dim < 1 || options.embedding_dim > (int64_t{1} << 24)) {
    return bad("embedding_dim is 1 to 2^24", options.embedding_dim);
  }
  if (options.capacity_rows < 0) return bad("capacity_rows is negative", options.capacity_rows);
  if (options.capacity_bytes < 0) return bad("capacity_bytes is negative", options.capacity_bytes);
  if ((options.capacity_rows == 0) == (options.capacity_bytes == 0)) {
    return bad(
        "one of capacity_rows and capacity_bytes is above 0, the other 0. capacity_rows is " +
            std::to_string(options.capacity_rows) + ", capacity_bytes",
        options.capacity_bytes);
  }
  return absl::OkStatus();
}

std::string VersionName(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

absl::Status CheckDriver() {
  int driver = 0;
  int runtime = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess ||
      cudaRuntimeGetVersion(&runtime) != cudaSuccess) {
    return absl::FailedPreconditionError("the versions of CUDA could not be read");
  }
  // Within a major version older drivers will do.
  if (driver / 1000 < runtime / 1000) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the GPU's driver knows CUDA ", driver == 0 ? "(none)" : VersionName(driver),
        ", tf_hps was built with CUDA ", VersionName(runtime), ": a newer driver is needed"));
  }
  return absl::OkStatus();
}

}  // namespace

CudaCache::CudaCache(const CacheOptions& options, DeviceMemory* memory)
    : table_(options.table),
      row_bytes_(RowBytes(options.row_format, options.embedding_dim)),
      memory_(memory) {
  ref_.embedding_dim = static_cast<uint32_t>(options.embedding_dim);
  ref_.row_stride = static_cast<uint32_t>((row_bytes_ + 15) / 16 * 16);
  ref_.format = options.row_format;
  ref_.policy = options.policy;
}

absl::StatusOr<std::unique_ptr<EmbeddingCache>> CudaCache::Create(const CacheOptions& options,
                                                                  DeviceMemory* memory,
                                                                  CacheStream stream) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (absl::Status status = CheckDriver(); !status.ok()) return status;
  if (options.device >= 0) {
    absl::Status status =
        CudaStatus(cudaSetDevice(options.device), absl::StrCat("use device ", options.device));
    if (!status.ok()) return status;
  }
  std::unique_ptr<CudaCache> cache(new CudaCache(options, memory));
  absl::Status status = cache->Allocate(options, static_cast<cudaStream_t>(stream));
  if (!status.ok()) return status;
  return cache;
}

absl::Status CudaCache::Allocate(const CacheOptions& options, cudaStream_t stream) {
  home_ = stream;
  const uint64_t line_bytes = kCacheLineWords * sizeof(CacheWord);
  const uint64_t set_bytes = line_bytes + uint64_t{kCacheWays} * ref_.row_stride;
  ref_.sets = options.capacity_rows != 0
                  ? (static_cast<uint64_t>(options.capacity_rows) - 1) / kCacheWays + 1
                  : static_cast<uint64_t>(options.capacity_bytes) / set_bytes;
  if (ref_.sets == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the cache of table \"", table_, "\": capacity_bytes is at least ", set_bytes,
                     ", one set of ", kCacheWays, " rows. Received: ", options.capacity_bytes));
  }
  constexpr uint64_t kCounterBytes = 256 + kProgresses * sizeof(CacheProgress);
  if (ref_.sets > (std::numeric_limits<int64_t>::max() - kCounterBytes) / set_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the cache of table \"", table_, "\": ", options.capacity_rows, " rows are too many"));
  }
  bytes_ = kCounterBytes + ref_.sets * set_bytes;
  char* const slab = static_cast<char*>(memory_->Allocate(bytes_, stream));
  if (slab == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the cache of table \"", table_, "\" needs ", bytes_, " bytes of device memory for ",
        ref_.sets * kCacheWays, " rows; free: ", memory_->FreeBytes()));
  }
  ref_.counters = reinterpret_cast<CacheWord*>(slab);
  progress_ = reinterpret_cast<CacheProgress*>(slab + 256);
  ref_.lines = reinterpret_cast<CacheWord*>(slab + kCounterBytes);
  ref_.rows = reinterpret_cast<unsigned char*>(slab + kCounterBytes + ref_.sets * line_bytes);
  absl::Status status = CudaStatus(
      cudaMemsetAsync(slab, 0, kCounterBytes + ref_.sets * line_bytes, stream), "clear a cache");
  int processors = 1;
  if (status.ok()) status = CudaStatus(cudaGetDevice(&device_), "name the device");
  if (status.ok()) {
    status =
        CudaStatus(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device_),
                   "count the device's processors");
  }
  // Blocks that are resident at once, twice: the rest of a batch is a loop.
  max_blocks_ = static_cast<unsigned>(processors) * 16;
  MutexLock lock(&mutex_);
  return status.ok() ? order_.BeforeRead(stream) : status;
}

// Memory goes back in the order of the home stream, so everything else must be over.
CudaCache::~CudaCache() {
  (void)UseDevice();
  MutexLock lock(&mutex_);
  order_.WaitForAll();
  for (void* part : device_parts_) memory_->Free(part, home_);
  if (ref_.counters != nullptr) memory_->Free(ref_.counters, home_);
}

absl::Status CudaCache::UseDevice() const {
  int device = -1;
  if (cudaGetDevice(&device) == cudaSuccess && device == device_) return absl::OkStatus();
  return CudaStatus(cudaSetDevice(device_), absl::StrCat("use device ", device_));
}

absl::Status CudaCache::CheckKeys(const void* keys, size_t n) const {
  if (absl::Status status = UseDevice(); !status.ok() || n == 0) return status;
  cudaPointerAttributes of_keys = {};
  if (absl::Status status = CudaStatus(cudaPointerGetAttributes(&of_keys, keys),
                                       "find out where a lookup's keys are");
      !status.ok()) {
    return status;
  }
  if (of_keys.type == cudaMemoryTypeUnregistered) {
    return absl::InvalidArgumentError(absl::StrCat("the cache of table \"", table_, "\" is on GPU ",
                                                   device_,
                                                   ". Received: keys in the host's memory"));
  }
  if (of_keys.type == cudaMemoryTypeDevice && of_keys.device != device_) {
    return absl::InvalidArgumentError(absl::StrCat("the cache of table \"", table_, "\" is on GPU ",
                                                   device_, ". Received: keys on GPU ",
                                                   of_keys.device));
  }
  return absl::OkStatus();
}

absl::Status CudaCache::SendBytes(absl::Span<const uint8_t> bytes, void* to, cudaStream_t stream) {
  absl::StatusOr<std::unique_ptr<CudaStaging>> staging = staging_.Take(bytes.size());
  if (!staging.ok()) return staging.status();
  std::copy(bytes.begin(), bytes.end(), (*staging)->memory());
  absl::Status status = CudaStatus(
      cudaMemcpyAsync(to, (*staging)->memory(), bytes.size(), cudaMemcpyHostToDevice, stream),
      "copy to the device");
  if (status.ok()) status = (*staging)->Record(stream);
  staging_.GiveBack(*std::move(staging));
  return status;
}

absl::Status CudaCache::Send(absl::Span<const uint8_t> bytes, void* to, CacheStream stream) {
  if (absl::Status status = UseDevice(); !status.ok()) return status;
  return SendBytes(bytes, to, static_cast<cudaStream_t>(stream));
}

absl::StatusOr<const void*> CudaCache::Keep(absl::Span<const uint8_t> bytes,
                                            CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  if (absl::Status status = UseDevice(); !status.ok()) return status;
  MutexLock lock(&mutex_);
  if (absl::Status status = order_.BeforeWrite(stream); !status.ok()) return status;
  void* const kept = memory_->Allocate(bytes.size(), stream);
  if (kept == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the cache of table \"", table_, "\" needs ", bytes.size(),
                     " bytes of device memory for a row; free: ", memory_->FreeBytes()));
  }
  device_parts_.push_back(kept);
  absl::Status status = SendBytes(bytes, kept, stream);
  if (status.ok()) status = order_.AfterWrite(stream);
  if (!status.ok()) return status;
  return static_cast<const void*>(kept);
}

absl::StatusOr<CacheOutput> CudaCache::OutputOf(const CacheRows& out) const {
  CacheOutput output = {};
  output.rows = static_cast<unsigned char*>(out.data);
  output.default_row = static_cast<const unsigned char*>(out.default_row);
  output.default_buckets = out.default_buckets;
  output.row_bytes = static_cast<uint32_t>(ref_.embedding_dim * ElementBytes(out.type));
  output.type = out.type;
  const uintptr_t address = reinterpret_cast<uintptr_t>(out.data);
  const auto aligned = [&](uint32_t width) {
    return address % width == 0 && output.row_bytes % width == 0;
  };
  if (address % ElementBytes(out.type) != 0 ||
      reinterpret_cast<uintptr_t>(out.default_row) % ElementBytes(out.type) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the cache of table \"", table_,
        "\": output and default row are aligned to their elements. Received: output at ", address));
  }
  if (IsPlainCopy(ref_.format, out.type)) {
    output.copy_width = aligned(16) ? 16 : aligned(4) ? 4 : 2;
  } else {
    output.by_fours = ref_.embedding_dim % 4 == 0 && aligned(4 * ElementBytes(out.type));
  }
  return output;
}

absl::Status CudaCache::CopyToHost(const void* from, void* to, size_t bytes, cudaStream_t stream) {
  absl::Status status = CudaStatus(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream),
                                   "read a cache's state");
  if (!status.ok()) return status;
  host_waits_.fetch_add(1);
  return CudaStatus(cudaStreamSynchronize(stream), "wait for a cache's state");
}

absl::StatusOr<std::vector<Key>> CudaCache::ResidentKeys(size_t slice, size_t slices,
                                                         CacheStream stream) {
  if (slices == 0 || slice >= slices) {
    return absl::InvalidArgumentError(
        absl::StrCat("slice is below slices. Received: ", slice, " of ", slices));
  }
  const auto bound = [&](size_t s) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(ref_.sets) * s / slices);
  };
  const uint64_t first = bound(slice);
  const uint64_t sets = bound(slice + 1) - first;
  std::vector<CacheWord> lines(sets * kCacheLineWords);
  if (lines.empty()) return std::vector<Key>();
  {
    MutexLock lock(&mutex_);
    absl::Status status = UseDevice();
    if (status.ok()) status = order_.BeforeRead(static_cast<cudaStream_t>(stream));
    if (status.ok()) {
      status = CopyToHost(ref_.lines + first * kCacheLineWords, lines.data(),
                          lines.size() * sizeof(CacheWord), static_cast<cudaStream_t>(stream));
    }
    if (!status.ok()) return status;
  }
  std::vector<Key> keys;
  for (uint64_t set = 0; set < sets; ++set) {
    const CacheWord* const line = lines.data() + set * kCacheLineWords;
    for (int way = 0; way < kCacheWays; ++way) {
      if (line[kCacheStateWord] >> way & 1) keys.push_back(static_cast<Key>(line[way]));
    }
  }
  return keys;
}

absl::StatusOr<CacheStats> CudaCache::Stats(CacheStream stream) {
  CacheWord counters[kCacheCounters] = {};
  {
    MutexLock lock(&mutex_);
    absl::Status status = UseDevice();
    if (status.ok()) status = order_.BeforeRead(static_cast<cudaStream_t>(stream));
    if (status.ok()) {
      status =
          CopyToHost(ref_.counters, counters, sizeof(counters), static_cast<cudaStream_t>(stream));
    }
    if (!status.ok()) return status;
  }
  CacheStats stats;
  stats.capacity_rows = static_cast<int64_t>(ref_.sets * kCacheWays);
  stats.bytes = static_cast<int64_t>(bytes_);
  stats.rows = static_cast<int64_t>(counters[kCacheRows]);
  stats.absent = static_cast<int64_t>(counters[kCacheAbsent]);
  stats.evictions = static_cast<int64_t>(counters[kCacheEvictions]);
  stats.moves = static_cast<int64_t>(counters[kCacheMoves]);
  stats.refused = refused_.load();
  stats.host_waits = host_waits_.load();
  return stats;
}

absl::StatusOr<std::unique_ptr<EmbeddingCache>> NewCudaCache(const CacheOptions& options,
                                                             DeviceMemory* memory,
                                                             CacheStream stream) {
  return CudaCache::Create(options, memory, stream);
}

size_t CudaFreeBytes() {
  size_t free = 0;
  size_t total = 0;
  (void)cudaMemGetInfo(&free, &total);
  return free;
}

}  // namespace tf_hps
