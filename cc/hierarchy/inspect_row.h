#ifndef TF_HPS_CC_HIERARCHY_INSPECT_ROW_H_
#define TF_HPS_CC_HIERARCHY_INSPECT_ROW_H_

#include "absl/status/statusor.h"
#include "cc/common/key.h"
#include "cc/hierarchy/embedding_table.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// What each tier has under `key`, in the order asked, for people who look for a wrong row:
// [{"kind": "memory", "state": "stored" | "absent" | "unknown" | "failed", "row": [...]}].
// "absent": remembered as a key that nobody below knows. Counts in no statistics and promotes
// nothing.
nlohmann::json InspectRow(const EmbeddingTable& table, Key key);

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_INSPECT_ROW_H_
