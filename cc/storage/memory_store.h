#ifndef TF_HPS_CC_STORAGE_MEMORY_STORE_H_
#define TF_HPS_CC_STORAGE_MEMORY_STORE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "cc/common/row_codec.h"
#include "cc/common/table_spec.h"
#include "cc/storage/embedding_store.h"
#include "cc/storage/eviction_policy.h"

namespace tf_hps {

struct MemoryStoreOptions {
  int64_t capacity_rows = 0;  // 0: no bound
  EvictionPolicy::Kind eviction = EvictionPolicy::Kind::kLfu;
  CpuIsa isa = SelectedCpuIsa();
};

// For tests and benchmarks, which choose the instruction set; everybody else opens the backend
// "memory".
absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenMemoryStore(const TableSpec& spec,
                                                                const MemoryStoreOptions& options);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_MEMORY_STORE_H_
