#ifndef TF_HPS_CC_HIERARCHY_MISS_DEADLINE_H_
#define TF_HPS_CC_HIERARCHY_MISS_DEADLINE_H_

#include <chrono>
#include <cstdint>
#include <vector>

namespace tf_hps {

// Until when one lookup waits for the stores. Rows that are not there by then are default rows for
// this lookup, and go on to memory for the next.
struct MissDeadline {
  std::chrono::steady_clock::time_point at;
  std::vector<uint32_t> degraded;  // positions that got the default row for that
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_MISS_DEADLINE_H_
