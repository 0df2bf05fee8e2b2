#ifndef TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_INPUT_H_
#define TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_INPUT_H_

#include <memory>

#include "absl/status/status.h"
#include "cc/cache/embedding_cache.h"
#include "cc/hierarchy/device_cache.h"
#include "cc/hierarchy/table_handle.h"
#include "cc/kernels/table_input.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace tf_hps {

// A table, its cache on the kernel's device, and ids that lie there.
struct GpuLookupInput {
  std::shared_ptr<TableHandle> table;
  DeviceCache* cache = nullptr;
  CacheStream stream = nullptr;
  const Key* keys = nullptr;
  size_t n = 0;
  tensorflow::Tensor prepared_keys;      // owns them where they are not the ids themselves
  std::unique_ptr<CacheLookup> bad_ids;  // null: the table does not check the range

  // Reads the table's handle and ids of any shape, int32, int64 or strings (which lie in the host's
  // memory), from two inputs of `ctx`, checks both, and counts a lookup.
  absl::Status Read(tensorflow::OpKernelContext* ctx, const TableInput& table_input, int ids_input,
                    int64_t embedding_dim);
  // Ids outside the vocabulary are an error; once the stream came that far.
  absl::Status CheckRange();
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_GPU_GPU_LOOKUP_INPUT_H_
