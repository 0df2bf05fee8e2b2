#include "cc/update/update_options.h"

#include <utility>

namespace tf_hps {
namespace {

using nlohmann::json;

std::string Text(const json& section, const char* name) {
  const auto found = section.find(name);
  return found == section.end() || !found->is_string() ? "" : found->get<std::string>();
}

template <class T>
T Number(const json& section, const char* name, T otherwise) {
  const auto found = section.find(name);
  return found == section.end() || found->is_null() ? otherwise : found->get<T>();
}

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
  options.source = Text(section, "source");
  options.state_dir = Text(section, "state_dir");
  options.start = Text(section, "start");
  options.position = Text(section, "position");
  const double defaulted = static_cast<double>(options.position_timeout.count()) / 1000;
  options.position_timeout = std::chrono::milliseconds(
      static_cast<int64_t>(1000 * Number(section, "position_timeout_s", defaulted)));
  options.poll = std::chrono::milliseconds(
      Number<int64_t>(section, "poll_ms", static_cast<int64_t>(options.poll.count())));
  options.max_rows_per_s = Number(section, "max_rows_per_s", options.max_rows_per_s);
  options.quarantine_bytes = Number(section, "quarantine_bytes", options.quarantine_bytes);
  options.section = section;
  return options;
}

}  // namespace tf_hps
