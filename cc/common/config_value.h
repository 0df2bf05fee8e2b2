#ifndef TF_HPS_CC_COMMON_CONFIG_VALUE_H_
#define TF_HPS_CC_COMMON_CONFIG_VALUE_H_

#include <string>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// `value` as the field takes it: whole numbers as integers (8e9 is one), paths absolute, those that
// are relative from `folder` on. The message of an error begins with `where`.
absl::StatusOr<nlohmann::json> CheckConfigValue(const ConfigField& field, nlohmann::json value,
                                                const std::string& folder,
                                                const std::string& where);

// What an environment variable's text is for the field, to be checked with CheckConfigValue.
nlohmann::json ConfigValueFromText(const ConfigField& field, const std::string& text);

// A value that was refused, for a message: lists and objects by their size only, texts masked.
std::string Received(const nlohmann::json& value);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_VALUE_H_
