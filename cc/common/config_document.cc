// One document (hps.json, or the file in TF_HPS_CONFIG) put on top of the layers below it.

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/common/config_layers.h"
#include "cc/common/config_names.h"
#include "cc/common/config_schema.h"
#include "cc/common/config_value.h"

namespace tf_hps {
namespace {

using nlohmann::json;

absl::Status CheckFormatVersion(const json& document, const ConfigSource& source) {
  const auto version = document.find("format_version");
  if (version == document.end()) {
    if (!source.whole) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        source.file, ": `format_version` is missing; this tf_hps writes ", kConfigFormatVersion));
  }
  // Comparing json with int would read numbers above 2^63 as negative.
  if (!version->is_number_unsigned() || version->get<uint64_t>() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.file, ": `format_version` is a whole number from 1 to ",
                     kConfigFormatVersion, ". Received: ", Received(*version)));
  }
  if (version->get<uint64_t>() > kConfigFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        source.file, ": has format_version ", version->dump(),
        ", this tf_hps reads versions up to ", kConfigFormatVersion, "; a newer tf_hps wrote it"));
  }
  return absl::OkStatus();
}

absl::Status CheckObject(const json& value, const ConfigSource& source, const std::string& place) {
  if (value.is_object()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(source.file, ": `", place, "` is an object. Received: ", Received(value)));
}

absl::Status UnknownName(const ConfigSource& source, const std::string& what,
                         const std::string& name, const std::string& place,
                         const std::vector<std::string>& known) {
  return absl::InvalidArgumentError(absl::StrCat(
      source.file, ": unknown ", what, " ", Quoted(name),
      place.empty() ? "" : absl::StrCat(" in ", Quoted(place)), ". ", KnownNames(name, known)));
}

absl::Status SetValue(const ConfigField& field, const json& value, const ConfigSource& source,
                      const std::string& place, ConfigValues* values) {
  if (value.is_null()) {  // as if no layer below had said anything
    values->erase(field.name);
    return absl::OkStatus();
  }
  auto checked =
      CheckConfigValue(field, value, source.folder, absl::StrCat(source.file, ": `", place, "`"));
  if (!checked.ok()) return checked.status();
  (*values)[field.name] = {*std::move(checked), source.origin};
  return absl::OkStatus();
}

absl::Status ApplySection(const json& options, const std::string& section,
                          const ConfigSource& source, const std::string& place,
                          ConfigValues* values) {
  if (absl::Status status = CheckObject(options, source, place); !status.ok()) return status;
  const ConfigFields& fields = ConfigSections().at(section);
  for (const auto& [name, value] : options.items()) {
    const ConfigField* field = FindConfigField(fields, name);
    if (field == nullptr) return UnknownName(source, "field", name, place, FieldNames(fields));
    if (const std::string other = OtherSecretField(fields, name);
        !other.empty() && !value.is_null()) {
      if (options.contains(other) && !options[other].is_null()) {
        return absl::InvalidArgumentError(absl::StrCat(source.file, ": `", place, ".", name,
                                                       "` and `", place, ".", other,
                                                       "` are both given; give one"));
      }
      values->erase(other);
    }
    const std::string at = absl::StrCat(place, ".", name);
    if (absl::Status status = SetValue(*field, value, source, at, values); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyTable(const json& entry, const ConfigSource& source, const std::string& place,
                        LayeredTable* table) {
  if (absl::Status status = CheckObject(entry, source, place); !status.ok()) return status;
  for (const auto& [name, value] : entry.items()) {
    const std::string at = absl::StrCat(place, ".", name);
    absl::Status status;
    if (const ConfigField* field = FindConfigField(TableFields(), name); field != nullptr) {
      status = SetValue(*field, value, source, at, &table->fields);
    } else if (ConfigSections().count(name) == 0) {
      std::vector<std::string> known = FieldNames(TableFields());
      const std::vector<std::string> sections = SectionNames();
      known.insert(known.end(), sections.begin(), sections.end());
      status = UnknownName(source, "field", name, place, known);
    } else if (value.is_null()) {
      table->overrides.erase(name);
      table->without[name] = source.origin;
    } else {
      table->without.erase(name);
      status = ApplySection(value, name, source, at, &table->overrides[name]);
    }
    if (!status.ok()) return status;
  }
  const auto generation = table->fields.find("generation");
  if (generation != table->fields.end() &&
      !IsGeneration(generation->second.value.get_ref<const std::string&>())) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.file, ": `", place, ".generation` is made of [a-z0-9] with - inside. ",
                     "Received: ", Received(generation->second.value)));
  }
  return absl::OkStatus();
}

absl::Status ApplyTables(const json& tables, const ConfigSource& source, LayeredConfig* config) {
  if (absl::Status status = CheckObject(tables, source, "tables"); !status.ok()) return status;
  for (const auto& [name, entry] : tables.items()) {
    if (!IsConfigName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(source.file, ": a table's name is made of [A-Za-z0-9_.-] with / inside. ",
                       "Received: ", Quoted(name)));
    }
    absl::Status status =
        ApplyTable(entry, source, absl::StrCat("tables.", name), &config->tables[name]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ApplyDeployment(const json& value, const ConfigSource& source, LayeredConfig* config) {
  absl::Status status = SetValue(DeploymentField(), value, source, "deployment", &config->fields);
  if (!status.ok() || value.is_null()) return status;
  if (IsConfigName(value.get_ref<const std::string&>())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(source.file, ": `deployment` is made of [A-Za-z0-9_.-] with / inside. ",
                   "Received: ", Received(value)));
}

void RemoveTier(const std::string& section, LayeredConfig* config) {
  config->sections.erase(section);
  for (auto& [name, table] : config->tables) table.overrides.erase(section);
}

}  // namespace

absl::Status ApplyDocument(const json& document, const ConfigSource& source,
                           LayeredConfig* config) {
  if (absl::Status status = CheckFormatVersion(document, source); !status.ok()) return status;
  for (const auto& [name, value] : document.items()) {
    absl::Status status;
    if (name == "deployment") {
      status = ApplyDeployment(value, source, config);
    } else if (ConfigSections().count(name) > 0) {
      if (value.is_null()) {
        RemoveTier(name, config);
      } else {
        status = ApplySection(value, name, source, name, &config->sections[name]);
      }
    } else if (name != "format_version" && name != "tables") {
      std::vector<std::string> known = SectionNames();
      known.insert(known.end(), {"deployment", "format_version", "tables"});
      status = UnknownName(source, "section", name, "", known);
    }
    if (!status.ok()) return status;
  }
  // Last: a table may override a section that stands after it.
  const auto tables = document.find("tables");
  return tables == document.end() ? absl::OkStatus() : ApplyTables(*tables, source, config);
}

}  // namespace tf_hps
