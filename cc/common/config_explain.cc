// ExplainConfig: where each effective value comes from.

#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/config.h"
#include "cc/common/config_layers.h"
#include "cc/common/config_names.h"

namespace tf_hps {
namespace {

using nlohmann::json;

void Explain(const std::string& place, const ConfigValues& values, json* lines) {
  for (const auto& [name, said] : values) {
    json value = said.value;
    if (value.is_string()) value = MaskCredentials(value.get_ref<const std::string&>());
    lines->push_back({{"name", absl::StrCat(place, name)},
                      {"value", std::move(value)},
                      {"origin", MaskCredentials(said.origin)}});
  }
}

}  // namespace

absl::StatusOr<json> ExplainConfig(const std::string& path) {
  auto config = LoadLayers(path);
  if (!config.ok()) return config.status();
  json lines = json::array();
  Explain("", config->fields, &lines);
  for (const auto& [section, values] : config->sections) {
    Explain(absl::StrCat(section, "."), values, &lines);
  }
  for (const auto& [name, table] : config->tables) {
    const std::string place = absl::StrCat("tables.", name, ".");
    Explain(place, table.fields, &lines);
    for (const auto& [section, values] : table.overrides) {
      Explain(absl::StrCat(place, section, "."), values, &lines);
    }
    for (const auto& [section, origin] : table.without) {
      Explain(place, {{section, {nullptr, origin}}}, &lines);
    }
  }
  return lines;
}

}  // namespace tf_hps
