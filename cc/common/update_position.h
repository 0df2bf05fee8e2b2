#ifndef TF_HPS_CC_COMMON_UPDATE_POSITION_H_
#define TF_HPS_CC_COMMON_UPDATE_POSITION_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tf_hps {

// A place in a stream of updates: how many commits are before it, and of which stream. Positions
// travel as text (docs/formats.md), of which this is what all sources agree on.
struct UpdatePosition {
  std::string stream;   // empty: none is followed; for segments in a folder "folder"
  uint64_t number = 0;  // of the last commit; 0: before the first

  bool operator==(const UpdatePosition& other) const {
    return stream == other.stream && number == other.number;
  }
};

// "STREAM:NUMBER" or the name of a segment file, NUMBER with 20 digits, so that positions of one
// stream compare as text. Empty: before the first commit of any stream.
absl::StatusOr<UpdatePosition> ParseUpdatePosition(absl::string_view text);
std::string UpdatePositionText(absl::string_view stream, uint64_t number);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_UPDATE_POSITION_H_
