#include "cc/hierarchy/growth_state.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

std::string GrowthState::ToJson() const {
  return nlohmann::json{{"rows", rows},
                        {"loaded", loaded},
                        {"clock_us", clock_us},
                        {"loaded_us", loaded_us},
                        {"max_rows", bounds.max_rows},
                        {"ttl_s", bounds.ttl_s},
                        {"rejects", bounds.rejects},
                        {"history", history},
                        {"oldest", {oldest.time_us, oldest.key}}}
      .dump();
}

absl::StatusOr<GrowthState> GrowthState::Parse(const std::string& text) {
  GrowthState state;
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  bool is_whole = json.is_object();
  const auto number = [&](const nlohmann::json& holder, const auto& name, int64_t* value) {
    is_whole = is_whole && holder.contains(name) && holder[name].is_number_integer();
    if (is_whole) holder[name].get_to(*value);
  };
  number(json, "rows", &state.rows);
  number(json, "loaded", &state.loaded);
  number(json, "clock_us", &state.clock_us);
  number(json, "loaded_us", &state.loaded_us);
  number(json, "max_rows", &state.bounds.max_rows);
  number(json, "ttl_s", &state.bounds.ttl_s);
  is_whole = is_whole && json.contains("rejects") && json["rejects"].is_boolean() &&
             json.contains("history") && json["history"].is_string() && json.contains("oldest") &&
             json["oldest"].is_array() && json["oldest"].size() == 2 &&
             json["oldest"][0].is_number_integer() && json["oldest"][1].is_number_integer();
  if (!is_whole) {
    return absl::DataLossError(
        absl::StrCat("the record of a bounded table is damaged: ", text.substr(0, 200)));
  }
  json["rejects"].get_to(state.bounds.rejects);
  json["history"].get_to(state.history);
  json["oldest"][0].get_to(state.oldest.time_us);
  json["oldest"][1].get_to(state.oldest.key);
  return state;
}

}  // namespace tf_hps
