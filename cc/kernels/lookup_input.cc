#include "cc/kernels/lookup_input.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/embedding_table.h"
#include "tensorflow/core/platform/fingerprint.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;

// int64 ids are the keys, without a copy, where the table's range policy does not rewrite them.
absl::Status SetKeys(OpKernelContext* ctx, const Tensor& ids, LookupInput* input) {
  const size_t n = ids.NumElements();
  const bool checks_range = input->table->ChecksRange();
  if (ids.dtype() == tensorflow::DT_INT64 && !checks_range) {
    input->keys = {ids.flat<int64_t>().data(), n};
    return absl::OkStatus();
  }
  TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_INT64, ids.shape(), &input->copied_keys));
  int64_t* const keys = input->copied_keys.flat<int64_t>().data();
  if (ids.dtype() == tensorflow::DT_STRING) {
    WordKeys(ids, keys);
  } else if (ids.dtype() == tensorflow::DT_INT64) {
    std::copy_n(ids.flat<int64_t>().data(), n, keys);
  } else {
    std::copy_n(ids.flat<int32_t>().data(), n, keys);
  }
  input->keys = {keys, n};
  return checks_range ? input->table->CheckRange({keys, n}) : absl::OkStatus();
}

}  // namespace

void WordKeys(const Tensor& words, Key* keys) {
  const auto texts = words.flat<tensorflow::tstring>();
  for (int64_t i = 0; i < texts.size(); ++i) {
    keys[i] = static_cast<Key>(tensorflow::Fingerprint64(texts(i)));
  }
}

absl::Status LookupInput::Read(OpKernelContext* ctx, const TableInput& table_input, int ids_input,
                               int64_t embedding_dim) {
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
  const Tensor& ids = ctx->input(ids_input);
  if (ids.NumElements() > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(spec.Described(), ": a lookup takes at most ",
                                                   std::numeric_limits<uint32_t>::max(),
                                                   " ids. Received: ", ids.NumElements()));
  }
  return SetKeys(ctx, ids, this);
}

}  // namespace tf_hps
