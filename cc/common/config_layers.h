#ifndef TF_HPS_CC_COMMON_CONFIG_LAYERS_H_
#define TF_HPS_CC_COMMON_CONFIG_LAYERS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// A value and who said it: see ExplainConfig.
struct ConfigValue {
  nlohmann::json value;
  std::string origin;
};
using ConfigValues = std::map<std::string, ConfigValue>;  // by field

struct LayeredTable {
  ConfigValues fields;
  std::map<std::string, ConfigValues> overrides;  // by section
  std::map<std::string, std::string> without;  // sections this table does not have, and who says so
};

// What all layers say together, each value checked on its own. Defaults are not filled in.
struct LayeredConfig {
  std::string file;  // for messages about the whole
  ConfigValues fields;
  std::map<std::string, ConfigValues> sections;
  std::map<std::string, LayeredTable> tables;
};

// The options of a section as table `table` sees them.
ConfigValues SectionOf(const LayeredConfig& config, const LayeredTable& table,
                       const std::string& section);

struct ConfigSource {
  std::string file;    // for messages
  std::string origin;  // for ExplainConfig
  std::string folder;  // relative paths start here
  bool whole = true;   // must have a format_version
};

// Puts a document on top of what `config` holds.
absl::Status ApplyDocument(const nlohmann::json& document, const ConfigSource& source,
                           LayeredConfig* config);
// Puts TF_HPS_<SECTION>_<FIELD> on top.
absl::Status ApplyEnvironment(LayeredConfig* config);

// hps.json, what overrides it, and defaults in every section and table.
absl::StatusOr<LayeredConfig> LoadLayers(const std::string& path);
// A text alone, with defaults.
absl::StatusOr<LayeredConfig> ParseLayers(const std::string& text, const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_LAYERS_H_
