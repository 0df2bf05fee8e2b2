// TF_HPS_<SECTION>_<FIELD> put on top of the files.

#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cc/common/config_layers.h"
#include "cc/common/config_names.h"
#include "cc/common/config_schema.h"
#include "cc/common/config_value.h"

namespace tf_hps {
namespace {

// Read elsewhere.
constexpr absl::string_view kOtherVariables[] = {"TF_HPS_CONFIG", "TF_HPS_CPU_ISA", "TF_HPS_LOG"};
constexpr absl::string_view kOtherPrefixes[] = {"TF_HPS_TEST_", "TF_HPS_BENCH_", "TF_HPS_BUILD_"};

bool IsReadElsewhere(absl::string_view variable) {
  for (absl::string_view other : kOtherVariables) {
    if (variable == other) return true;
  }
  for (absl::string_view prefix : kOtherPrefixes) {
    if (absl::StartsWith(variable, prefix)) return true;
  }
  return false;
}

struct Option {
  std::string section;
  const ConfigField* field;
};

std::map<std::string, Option> OptionsByVariable() {
  std::map<std::string, Option> options;
  for (const auto& [section, fields] : ConfigSections()) {
    for (const ConfigField& field : fields) {
      options[VariableFor(section, field.name)] = {section, &field};
    }
  }
  return options;
}

absl::Status Apply(const std::string& variable, const Option& option, const std::string& text,
                   LayeredConfig* config) {
  const auto section = config->sections.find(option.section);
  if (section == config->sections.end()) {
    std::vector<std::string> there;
    for (const auto& [name, values] : config->sections) there.push_back(name);
    return absl::InvalidArgumentError(absl::StrCat(
        variable, " is set in the environment, but the deployment of ", config->file,
        " has no section \"", option.section, "\" (it has: ", absl::StrJoin(there, ", "),
        "). A variable changes a tier and does not add one: unset it, or add the section in a file "
        "named by TF_HPS_CONFIG"));
  }
  auto value = CheckConfigValue(*option.field, ConfigValueFromText(*option.field, text), "",
                                absl::StrCat(variable, " in the environment"));
  if (!value.ok()) return value.status();
  const std::string other =
      OtherSecretField(ConfigSections().at(option.section), option.field->name);
  if (!other.empty()) {
    const std::string other_variable = VariableFor(option.section, other);
    if (const char* set = std::getenv(other_variable.c_str()); set != nullptr && *set != '\0') {
      return absl::InvalidArgumentError(absl::StrCat(variable, " and ", other_variable,
                                                     " are both set in the environment; set one"));
    }
  }
  section->second.erase(other);
  section->second[option.field->name] = {*value, variable};
  // For all tables, also those that have an opinion of their own.
  for (auto& [name, table] : config->tables) {
    const auto overrides = table.overrides.find(option.section);
    if (overrides == table.overrides.end()) continue;
    overrides->second.erase(other);
    const auto override = overrides->second.find(option.field->name);
    if (override != overrides->second.end()) override->second = {*value, variable};
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyEnvironment(LayeredConfig* config) {
  const std::map<std::string, Option> options = OptionsByVariable();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const size_t end = text.find('=');
    if (!absl::StartsWith(text, "TF_HPS_") || end == absl::string_view::npos) continue;
    const std::string variable(text.substr(0, end));
    const std::string value(text.substr(end + 1));
    if (value.empty() || IsReadElsewhere(variable)) continue;
    const auto option = options.find(variable);
    if (option == options.end()) {
      std::vector<std::string> known(std::begin(kOtherVariables), std::end(kOtherVariables));
      for (const auto& [name, unused] : options) known.push_back(name);
      return absl::InvalidArgumentError(absl::StrCat("unknown variable ", Quoted(variable),
                                                     " in the environment, read for ", config->file,
                                                     ". ", KnownNames(variable, known)));
    }
    if (absl::Status status = Apply(variable, option->second, value, config); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
