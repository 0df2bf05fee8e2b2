#include "cc/kernels/gpu/gpu_lookup_input.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/kernels/gpu/gpu_device.h"
#include "cc/kernels/lookup_input.h"

namespace tf_hps {

absl::Status GpuLookupInput::Read(tensorflow::OpKernelContext* ctx, const TableInput& table_input,
                                  int ids_input, int64_t embedding_dim) {
  auto found = table_input.Table(ctx);
  if (!found.ok()) return found.status();
  table = *std::move(found);
  table->table().CountLookup();
  const TableSpec& spec = table->spec();
  if (spec.embedding_dim != embedding_dim) {
    return absl::InvalidArgumentError(absl::StrCat(spec.Described(), " has embedding_dim ",
                                                   spec.embedding_dim, ", the lookup expects ",
                                                   embedding_dim));
  }
  const tensorflow::Tensor& ids = ctx->input(ids_input);
  if (ids.NumElements() > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.Described(), ": a lookup on a GPU takes at most ",
                     std::numeric_limits<int32_t>::max(), " ids. Received: ", ids.NumElements()));
  }
  auto device = DeviceOf(ctx);
  if (!device.ok()) return device.status();
  auto cache_there = table->table().CacheOn(*device);
  if (!cache_there.ok()) return cache_there.status();
  cache = *cache_there;
  stream = device->stream;
  n = static_cast<size_t>(ids.NumElements());
  const bool narrow = ids.dtype() == tensorflow::DT_INT32;
  const bool are_words = ids.dtype() == tensorflow::DT_STRING;
  if (!narrow && !are_words && !table->ChecksRange()) {
    keys = ids.flat<int64_t>().data();
    return absl::OkStatus();
  }
  TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_INT64, ids.shape(), &prepared_keys));
  int64_t* const prepared = prepared_keys.flat<int64_t>().data();
  keys = prepared;
  CacheIds raw;
  raw.ids = ids.data();
  if (are_words) {
    std::vector<Key> of_words(n);
    WordKeys(ids, of_words.data());
    const absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(of_words.data()),
                                          n * sizeof(Key));
    TF_RETURN_IF_ERROR(cache->cache()->Send(bytes, prepared, stream));
    if (!table->ChecksRange()) return absl::OkStatus();
    raw.ids = prepared;
  }
  raw.narrow = narrow;
  raw.n = n;
  raw.vocabulary_size = table->vocabulary_size();
  raw.wraps_negatives = table->WrapsNegatives();
  auto bad = cache->cache()->PrepareKeys(raw, prepared, stream);
  if (!bad.ok()) return bad.status();
  bad_ids = *std::move(bad);
  return absl::OkStatus();
}

absl::Status GpuLookupInput::CheckRange() {
  if (bad_ids == nullptr) return absl::OkStatus();
  TF_RETURN_IF_ERROR(bad_ids->Wait());
  const absl::Span<const uint32_t> positions = bad_ids->positions();
  if (positions.empty()) return absl::OkStatus();
  const auto first = std::min_element(positions.begin(), positions.end());
  return table->OutOfRangeError(*first, bad_ids->keys()[first - positions.begin()]);
}

}  // namespace tf_hps
