#include "cc/common/config_schema.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

using nlohmann::json;

constexpr double kMaxTtlSeconds = 3153600000;  // a century: in microseconds it is an int64

// A function's static: backends register from static initializers of other files, in any order.
std::map<std::string, ConfigFields>& MutableSections() {
  static auto* const sections = new std::map<std::string, ConfigFields>;
  return *sections;
}

std::set<std::string>& DeploymentSections() {
  static auto* const sections = new std::set<std::string>;
  return *sections;
}

const char* TypeName(FieldType type) {
  switch (type) {
    case FieldType::kBool:
      return "bool";
    case FieldType::kInt:
      return "int";
    case FieldType::kNumber:
      return "number";
    case FieldType::kString:
      return "string";
    case FieldType::kPath:
      return "path";
    case FieldType::kSecret:
      return "variable";
    case FieldType::kDefaultRow:
      return "default_row";
  }
  return "";
}

json FieldJson(const ConfigField& field) {
  json described = {{"name", field.name},
                    {"type", TypeName(field.type)},
                    {"default", field.default_value},
                    {"help", field.help}};
  if (!field.choices.empty()) described["choices"] = field.choices;
  if (field.type == FieldType::kInt || field.type == FieldType::kNumber) {
    if (std::isfinite(field.minimum)) described["minimum"] = field.minimum;
    if (std::isfinite(field.maximum)) described["maximum"] = field.maximum;
  }
  return described;
}

}  // namespace

void RegisterConfigSection(const std::string& section, std::vector<ConfigField> fields,
                           ConfigSectionOf kind) {
  if (kind == ConfigSectionOf::kDeployment) DeploymentSections().insert(section);
  ConfigFields known;
  for (ConfigField& field : fields) {
    if (field.type != FieldType::kSecret) {
      known.push_back(std::move(field));
      continue;
    }
    known.push_back({absl::StrCat(field.name, "_file"), FieldType::kPath, nullptr,
                     absl::StrCat(field.help, " (path of a file that holds it)")});
    known.push_back({absl::StrCat(field.name, "_env"), FieldType::kSecret, nullptr,
                     absl::StrCat(field.help, " (name of an environment variable that holds it)")});
  }
  MutableSections().insert_or_assign(section, std::move(known));
}

const std::map<std::string, ConfigFields>& ConfigSections() { return MutableSections(); }

const ConfigField& DeploymentField() {
  static auto* const field =
      new ConfigField{"deployment", FieldType::kString, "default",
                      "whose tables these are: equal names in different deployments share nothing"};
  return *field;
}

const ConfigFields& TableFields() {
  // 2^24 elements a row: whatever is above is a mistake, and would overflow sizes in bytes.
  static auto* const fields = new ConfigFields{
      {"generation", FieldType::kString, nullptr, "which content; default: the store's newest"},
      {"embedding_dim",
       FieldType::kInt,
       nullptr,
       "elements of a row; default: as the store says",
       {},
       1,
       1 << 24},
      {"row_format",
       FieldType::kString,
       nullptr,
       "how a row is stored; default: as the store says, else float32",
       {"float32", "float16", "bfloat16", "int8"}},
      {"default_row", FieldType::kDefaultRow, "zeros",
       "row of an unknown id: \"zeros\", a list of numbers, {\"id\": n}, or {\"id\": n, "
       "\"buckets\": m, "
       "\"by\": rule} for one of m rows"},
      {"out_of_range",
       FieldType::kString,
       "default_row",
       "what ids outside the vocabulary do",
       {"default_row", "error", "wrap_negatives"}},
      {"vocabulary_size", FieldType::kInt, nullptr,
       "ids the model was trained with; needed unless out_of_range is default_row"},
      {"max_rows",
       FieldType::kInt,
       nullptr,
       "rows that the stream of updates may bring the table to; none: no bound",
       {},
       1},
      {"ttl_s",
       FieldType::kInt,
       nullptr,
       "seconds that a row stays after its last update, by the trainer's clock; none: for ever",
       {},
       1,
       kMaxTtlSeconds},
      {"when_full",
       FieldType::kString,
       "evict_oldest",
       "who makes room at max_rows: the rows updated longest ago, or new ids, which are rejected",
       {"evict_oldest", "reject"}},
      {"miss_deadline_us",
       FieldType::kInt,
       nullptr,
       "microseconds that a lookup waits for the stores; what is not there by then gets the "
       "default row; default: as long as they take",
       {},
       1},
  };
  return *fields;
}

const ConfigField* FindConfigField(const ConfigFields& fields, absl::string_view name) {
  for (const ConfigField& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

std::vector<std::string> FieldNames(const ConfigFields& fields) {
  std::vector<std::string> names;
  for (const ConfigField& field : fields) names.push_back(field.name);
  return names;
}

std::vector<std::string> SectionNames() {
  std::vector<std::string> names;
  for (const auto& [name, fields] : ConfigSections()) names.push_back(name);
  return names;
}

bool IsTier(const std::string& section) {
  return ConfigSections().count(section) > 0 && DeploymentSections().count(section) == 0;
}

std::vector<std::string> TierNames() {
  std::vector<std::string> names;
  for (const std::string& name : SectionNames()) {
    if (IsTier(name)) names.push_back(name);
  }
  return names;
}

std::string OtherSecretField(const ConfigFields& fields, const std::string& name) {
  std::string other;
  if (absl::EndsWith(name, "_env")) {
    other = absl::StrCat(name.substr(0, name.size() - 4), "_file");
  } else if (absl::EndsWith(name, "_file")) {
    other = absl::StrCat(name.substr(0, name.size() - 5), "_env");
  }
  for (const std::string& either : {name, other}) {
    const ConfigField* field = FindConfigField(fields, either);
    if (field != nullptr && field->type == FieldType::kSecret) return other;
  }
  return "";
}

std::string VariableFor(absl::string_view section, absl::string_view field) {
  return absl::AsciiStrToUpper(absl::StrCat("TF_HPS_", section, "_", field));
}

json ConfigSchema() {
  json schema = {{"format_version", kConfigFormatVersion},
                 {"fields", json::array({FieldJson(DeploymentField())})},
                 {"sections", json::object()},
                 {"table_fields", json::array()}};
  for (const auto& [section, fields] : ConfigSections()) {
    json& described = schema["sections"][section] = json::array();
    for (const ConfigField& field : fields) {
      described.push_back(FieldJson(field));
      described.back()["variable"] = VariableFor(section, field.name);
    }
  }
  for (const ConfigField& field : TableFields()) {
    schema["table_fields"].push_back(FieldJson(field));
  }
  return schema;
}

}  // namespace tf_hps
