#ifndef TF_HPS_CC_COMMON_CONFIG_SCHEMA_H_
#define TF_HPS_CC_COMMON_CONFIG_SCHEMA_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cc/common/config.h"

namespace tf_hps {

// The options of one section. A registered kSecret field `password` stands here as `password_file`
// (kPath) and `password_env` (kSecret: the name of a variable).
using ConfigFields = std::vector<ConfigField>;

const std::map<std::string, ConfigFields>& ConfigSections();
const ConfigField& DeploymentField();
// Of an entry of "tables", besides the sections it overrides.
const ConfigFields& TableFields();

const ConfigField* FindConfigField(const ConfigFields& fields, absl::string_view name);
std::vector<std::string> FieldNames(const ConfigFields& fields);
std::vector<std::string> SectionNames();
bool IsTier(const std::string& section);
std::vector<std::string> TierNames();

// "password_env" for "password_file" and the reverse; empty for a field that holds no secret. The
// two say the same thing: a layer that gives one takes the other away.
std::string OtherSecretField(const ConfigFields& fields, const std::string& name);

// TF_HPS_MEMORY_CAPACITY_ROWS
std::string VariableFor(absl::string_view section, absl::string_view field);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_SCHEMA_H_
