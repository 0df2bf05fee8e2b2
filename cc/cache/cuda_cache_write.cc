// Writing calls of the CUDA cache.
#include <cstring>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/cache/cuda_cache.h"
#include "cc/cache/cuda_pending_lookup.h"
#include "cc/cache/cuda_status.h"
#include "cc/cache/cuda_transfer.h"

namespace tf_hps {

absl::Status CudaCache::Fill(const CacheFill& fill, DeviceMemory* memory,
                             CacheStream cache_stream) {
  const auto stream = static_cast<cudaStream_t>(cache_stream);
  const size_t misses = fill.out == nullptr ? 0 : fill.positions.size();
  const size_t n = fill.keys.size();
  const bool keeps = fill.stamps != nullptr || fill.inside_update;
  if (misses == 0 && (n == 0 || !keeps)) return absl::OkStatus();
  if (absl::Status status = UseDevice(); !status.ok()) return status;
  CacheFillArgs args = {};
  if (misses != 0) {
    absl::StatusOr<CacheOutput> out = OutputOf(*fill.out);
    if (!out.ok()) return out.status();
    args.out = *out;
  }
  const auto found = [&](size_t i) { return fill.found.empty() || fill.found[i] != 0; };

  CudaTransfer transfer(&staging_, memory, stream);
  const size_t rows = transfer.Reserve<uint8_t>(n * ref_.row_stride);
  const size_t keys = transfer.Reserve<Key>(n);
  const size_t positions = transfer.Reserve<uint32_t>(misses);
  const size_t row_of_miss = transfer.Reserve<uint32_t>(misses);
  const size_t keep = transfer.Reserve<uint8_t>(n);
  if (absl::Status status = transfer.Open(); !status.ok()) return status;
  // Padding is zero: no kernel copies bytes nobody wrote.
  std::memset(transfer.host<uint8_t>(rows), 0, n * ref_.row_stride);
  for (size_t i = 0; i < n; ++i) {
    transfer.host<Key>(keys)[i] = fill.keys[i];
    if (found(i)) {
      std::memcpy(transfer.host<uint8_t>(rows) + i * ref_.row_stride, fill.rows.row(i), row_bytes_);
    }
  }
  for (size_t m = 0; m < misses; ++m) {
    const uint32_t k = fill.key_of_miss[m];
    transfer.host<uint32_t>(positions)[m] = fill.positions[m];
    transfer.host<uint32_t>(row_of_miss)[m] =
        found(k) ? k : CacheFillArgs::kDefaultRow - fill.out->default_buckets.Of(fill.keys[k]);
  }
  args.keys = transfer.device<Key>(keys);
  args.rows = transfer.device<uint8_t>(rows);
  args.keep = transfer.device<uint8_t>(keep);
  args.n = static_cast<uint32_t>(n);
  args.positions = transfer.device<uint32_t>(positions);
  args.row_of_miss = transfer.device<uint32_t>(row_of_miss);
  args.misses = static_cast<uint32_t>(misses);

  // Stamps are read and the insert is queued in one critical section: an update either moved its
  // stamp by now, or queues its rows behind ours.
  MutexLock lock(&mutex_);
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    uint8_t* const to = transfer.host<uint8_t>(keep) + i;
    *to = found(i) ? CacheFillArgs::kKeepRow : CacheFillArgs::kKeepAbsent;
    if (!keeps) {
      *to = 0;
    } else if (!fill.inside_update && fill.stamps->Moved(i, fill.keys[i])) {
      *to = 0;
      refused_.fetch_add(1);
    }
    any = any || *to != 0;
  }
  if (misses == 0 && !any) return absl::OkStatus();
  if (absl::Status status = transfer.Send(); !status.ok()) return status;
  if (misses != 0) {
    absl::Status status = CudaStatus(LaunchWriteMisses(ref_, args, max_blocks_, stream),
                                     "start the kernel that writes misses");
    if (!status.ok()) return status;
  }
  if (!any) return absl::OkStatus();
  absl::Status status = order_.BeforeWrite(stream);
  if (status.ok()) {
    status = CudaStatus(LaunchInsert(ref_, args, max_blocks_, stream), "start the insert kernel");
  }
  return status.ok() ? order_.AfterWrite(stream) : status;
}

absl::Status CudaCache::Write(absl::Span<const Key> all_keys, const RowsView* all_rows,
                              std::vector<Key>* taken, DeviceMemory* memory, cudaStream_t stream) {
  if (absl::Status status = UseDevice(); !status.ok()) return status;
  // Each key once, with its last row: two tiles with one key would write over each other.
  std::unordered_map<Key, size_t> last;
  for (size_t i = 0; i < all_keys.size(); ++i) last[all_keys[i]] = i;
  const size_t n = last.size();
  if (n == 0) return absl::OkStatus();
  const size_t stride = all_rows == nullptr ? 0 : ref_.row_stride;
  CudaTransfer transfer(&staging_, memory, stream);
  const size_t rows = transfer.Reserve<uint8_t>(n * stride);
  const size_t keys = transfer.Reserve<Key>(n);
  if (absl::Status status = transfer.Open(); !status.ok()) return status;
  std::memset(transfer.host<uint8_t>(rows), 0, n * stride);
  size_t at = 0;
  for (const auto& [key, i] : last) {
    transfer.host<Key>(keys)[at] = key;
    if (all_rows != nullptr) {
      std::memcpy(transfer.host<uint8_t>(rows) + at * stride, all_rows->row(i), row_bytes_);
    }
    ++at;
  }
  CacheUpdateArgs args = {};
  args.keys = transfer.device<Key>(keys);
  args.rows = all_rows == nullptr ? nullptr : transfer.device<uint8_t>(rows);
  args.n = static_cast<uint32_t>(n);
  std::unique_ptr<PendingLookup> were_resident;
  {
    MutexLock lock(&mutex_);
    absl::Status status = order_.BeforeWrite(stream);
    if (status.ok()) status = transfer.Send();
    if (status.ok() && taken != nullptr) {
      absl::StatusOr<std::unique_ptr<PendingLookup>> list = NewLookup(n, stream);
      if (!list.ok()) return list.status();
      were_resident = *std::move(list);
      args.taken = were_resident->list();
      args.progress = were_resident->progress();
    }
    if (status.ok()) {
      status = CudaStatus(LaunchUpdate(ref_, args, max_blocks_, stream), "start the update kernel");
    }
    if (status.ok() && taken != nullptr) status = were_resident->Record(stream);
    if (status.ok()) status = order_.AfterWrite(stream);
    if (!status.ok() || taken == nullptr) return status;
  }
  if (absl::Status status = were_resident->Wait(); !status.ok()) return status;
  taken->insert(taken->end(), were_resident->keys().begin(), were_resident->keys().end());
  return absl::OkStatus();
}

absl::Status CudaCache::Update(absl::Span<const Key> keys, const RowsView& rows,
                               DeviceMemory* memory, CacheStream stream) {
  if (rows.row_bytes() != row_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("the cache of table \"", table_,
                                                   "\": a row has ", rows.row_bytes(),
                                                   " bytes, the table stores ", row_bytes_));
  }
  return Write(keys, &rows, nullptr, memory, static_cast<cudaStream_t>(stream));
}

absl::Status CudaCache::Erase(absl::Span<const Key> keys, std::vector<Key>* taken,
                              DeviceMemory* memory, CacheStream stream) {
  return Write(keys, nullptr, taken, memory, static_cast<cudaStream_t>(stream));
}

}  // namespace tf_hps
