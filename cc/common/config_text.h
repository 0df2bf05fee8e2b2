#ifndef TF_HPS_CC_COMMON_CONFIG_TEXT_H_
#define TF_HPS_CC_COMMON_CONFIG_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// The text of a configuration file: NotFound when there is none, InvalidArgument for what is no
// file.
absl::StatusOr<std::string> ReadConfigFile(const std::string& path);

// The JSON object in `text`. Errors begin with `file` and say where: line and column for syntax,
// the place for a key that stands twice. They never quote texts of the file, which may be secrets.
absl::StatusOr<nlohmann::json> ParseConfigText(const std::string& text, const std::string& file);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_TEXT_H_
