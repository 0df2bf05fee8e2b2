#ifndef TF_HPS_CC_HIERARCHY_MEMORY_PLAN_H_
#define TF_HPS_CC_HIERARCHY_MEMORY_PLAN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "cc/common/cgroup.h"
#include "cc/common/config.h"
#include "cc/common/table_spec.h"

namespace tf_hps {

// Bytes of this process's memory that a table's tiers will take once they are filled, as far as its
// rows are known; logged, and held against what the container has left, before anything is
// allocated: the kernel would end the process later, without a word.
//
// `promised` is what open tables have yet to fill, `shared` what other generations of the table
// have in memory, which they give up for it (memory_share.h). A tier whose capacity the
// configuration leaves open is given what is left, in *config, where a tier below has the other
// rows. FailedPrecondition says what is needed, what is left, and which option lowers it.
absl::StatusOr<int64_t> PlanMemory(const TableSpec& spec, const ResourceLimits& limits,
                                   int64_t promised, int64_t shared, TableConfig* config);

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_MEMORY_PLAN_H_
