#include "cc/common/update_position.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace tf_hps {
namespace {

constexpr size_t kDigits = 20;
constexpr absl::string_view kSegment = ".hpsu";

}  // namespace

absl::StatusOr<UpdatePosition> ParseUpdatePosition(absl::string_view text) {
  UpdatePosition position;
  if (text.empty()) return position;
  absl::string_view number = text;
  if (absl::ConsumeSuffix(&number, kSegment)) {
    position.stream = "folder";
  } else if (const size_t colon = text.rfind(':'); colon != absl::string_view::npos) {
    position.stream = std::string(text.substr(0, colon));
    number = text.substr(colon + 1);
  }
  if (position.stream.empty() || number.size() != kDigits ||
      number.find_first_not_of("0123456789") != number.npos ||
      !absl::SimpleAtoi(number, &position.number)) {
    return absl::InvalidArgumentError(absl::StrCat("the position \"", text,
                                                   "\" is none of a stream of updates, such as ",
                                                   UpdatePositionText("9f2c41d07a55e3b8", 1)));
  }
  return position;
}

std::string UpdatePositionText(absl::string_view stream, uint64_t number) {
  return absl::StrFormat("%s:%020d", stream, number);
}

}  // namespace tf_hps
