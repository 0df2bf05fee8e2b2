#ifndef TF_HPS_CC_HIERARCHY_GROWTH_STATE_H_
#define TF_HPS_CC_HIERARCHY_GROWTH_STATE_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/storage/row_ages.h"

namespace tf_hps {

// What a bounded table knows of itself after a commit. Kept with the ages (docs/formats.md).
struct GrowthState {
  int64_t rows = 0;
  int64_t loaded = 0;  // of them: not updated since they were loaded
  // The table's clock: a commit's time, or a microsecond more than the last one where that is not
  // later. Each commit has an instant of its own, however publishers' clocks go.
  int64_t clock_us = 0;
  int64_t loaded_us = 0;  // of its first commit: what rows that were loaded count as
  GrowthBounds bounds;    // that held for it
  // A name for the bounds that held so far and the positions from which on: two servers with equal
  // ones that follow one stream have equal rows.
  std::string history;
  // No row is older: between here and there may be many that are gone, which a search passes over.
  RowAge oldest{RowAge::kLoaded, std::numeric_limits<Key>::min()};

  int64_t TimeOf(const RowAge& age) const {
    return age.time_us == RowAge::kLoaded ? loaded_us : age.time_us;
  }

  std::string ToJson() const;
  static absl::StatusOr<GrowthState> Parse(const std::string& text);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_GROWTH_STATE_H_
