#ifndef TF_HPS_CC_HIERARCHY_TABLE_HEALTH_H_
#define TF_HPS_CC_HIERARCHY_TABLE_HEALTH_H_

#include "nlohmann/json.hpp"

namespace tf_hps {

enum class TableHealth {
  kOk = 0,
  kDegraded = 1,  // rows are right; a tier is down, or what keeps them fresh or near is
  kFailing = 2,   // the tier that has every row is down: lookups that need it fail
};

// From what EmbeddingTable::Stats says.
TableHealth HealthOf(const nlohmann::json& stats);
const char* TableHealthName(TableHealth health);  // "ok", "degraded", "failing"

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_HEALTH_H_
