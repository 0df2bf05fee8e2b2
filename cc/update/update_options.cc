#include "cc/update/update_options.h"

#include <utility>

#include "cc/common/option_value.h"

namespace tf_hps {
namespace {

using nlohmann::json;

}  // namespace

std::vector<ConfigField> UpdateConfigFields(std::vector<std::string> sources) {
  const UpdateOptions defaults;
  return {
      {"source", FieldType::kString, defaults.source, "which kind of stream", std::move(sources)},
      {"url", FieldType::kPath, nullptr, "where the stream is: for a directory the folder"},
      {"start", FieldType::kString, nullptr,
       "the position that a table's rows have when they are loaded; none: before the first commit"},
      {"position", FieldType::kString, nullptr,
       "what must be applied before the tables are open: an export writes it"},
      {"position_timeout_s",
       FieldType::kNumber,
       static_cast<double>(defaults.position_timeout.count()) / 1000,
       "how long opening a table waits for `position`, in seconds; then it fails",
       {},
       0,
       86400},
      {"poll_ms",
       FieldType::kInt,
       defaults.poll.count(),
       "pause between two looks for new commits, in milliseconds",
       {},
       1,
       60000},
      {"max_rows_per_s", FieldType::kInt, defaults.max_rows_per_s,
       "rows applied in a second at most; 0: no limit"},
      {"state_dir", FieldType::kPath, nullptr,
       "folder for commits that are not applied; none: beside the store, if there is one"},
      {"quarantine_bytes", FieldType::kInt, defaults.quarantine_bytes,
       "bytes of such commits kept at most"},
  };
}

UpdateOptions ParseUpdateOptions(const json& section) {
  UpdateOptions options;
  options.source = OptionText(section, "source");
  options.state_dir = OptionText(section, "state_dir");
  options.start = OptionText(section, "start");
  options.position = OptionText(section, "position");
  const double defaulted = static_cast<double>(options.position_timeout.count()) / 1000;
  options.position_timeout = std::chrono::milliseconds(
      static_cast<int64_t>(1000 * OptionOr(section, "position_timeout_s", defaulted)));
  options.poll = std::chrono::milliseconds(
      OptionOr<int64_t>(section, "poll_ms", static_cast<int64_t>(options.poll.count())));
  options.max_rows_per_s = OptionOr(section, "max_rows_per_s", options.max_rows_per_s);
  options.quarantine_bytes = OptionOr(section, "quarantine_bytes", options.quarantine_bytes);
  options.section = section;
  return options;
}

}  // namespace tf_hps
