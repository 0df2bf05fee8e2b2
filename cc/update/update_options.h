#ifndef TF_HPS_CC_UPDATE_UPDATE_OPTIONS_H_
#define TF_HPS_CC_UPDATE_UPDATE_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "cc/common/config.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// The section "updates" of a deployment: which stream its tables follow, and how.
struct UpdateOptions {
  std::string source = "directory";
  std::string state_dir;  // empty: quarantined commits are counted, not kept
  std::string start;      // what a table without a position of its own goes on from
  std::string position;   // must be applied before a table is open
  std::chrono::milliseconds position_timeout{60000};
  std::chrono::milliseconds poll{10};
  int64_t max_rows_per_s = 0;  // 0: no limit
  int64_t quarantine_bytes = int64_t{1} << 30;
  nlohmann::json section;  // all of it, for the source
};

// Those that every source has; `sources` are the kinds known.
std::vector<ConfigField> UpdateConfigFields(std::vector<std::string> sources);

// Of a section that was checked, with defaults filled in.
UpdateOptions ParseUpdateOptions(const nlohmann::json& section);

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_OPTIONS_H_
