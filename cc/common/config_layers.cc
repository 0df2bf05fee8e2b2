#include "cc/common/config_layers.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cc/common/config_names.h"
#include "cc/common/config_schema.h"
#include "cc/common/config_text.h"
#include "cc/common/config_value.h"
#include "cc/common/paths.h"

namespace tf_hps {
namespace {

using nlohmann::json;

absl::Status ApplyFile(const std::string& path, const ConfigSource& source, LayeredConfig* config) {
  auto text = ReadConfigFile(path);
  if (!text.ok()) {
    if (source.file == path) return text.status();
    return absl::Status(text.status().code(),
                        absl::StrCat(source.file, ": ", text.status().message()));
  }
  auto document = ParseConfigText(*text, source.file);
  if (!document.ok()) return document.status();
  return ApplyDocument(*document, source, config);
}

absl::Status ApplyOperatorFile(LayeredConfig* config) {
  const char* path = std::getenv("TF_HPS_CONFIG");
  if (path == nullptr || *path == '\0') return absl::OkStatus();
  if (!IsCleanText(path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TF_HPS_CONFIG in the environment is a path in UTF-8. Received: ", Quoted(path)));
  }
  const std::string name = absl::StrCat("TF_HPS_CONFIG (", path, ")");
  return ApplyFile(path, {name, name, FolderOf(path), /*whole=*/false}, config);
}

size_t CountTiers(const LayeredConfig& config) {
  size_t tiers = 0;
  for (const auto& [section, values] : config.sections) tiers += IsTier(section);
  return tiers;
}

absl::Status CheckTable(const LayeredConfig& config, const std::string& name,
                        const LayeredTable& table) {
  const auto error = [&](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(config.file, ": `tables.", name, parts...));
  };
  const auto value = [&](const char* field) -> const json& { return table.fields.at(field).value; };
  size_t tiers = CountTiers(config);
  for (const auto& [section, origin] : table.without) {
    if (IsTier(section)) tiers -= config.sections.count(section);
  }
  if (tiers == 0) {
    return error("` has no tier left; the known ones: ", absl::StrJoin(TierNames(), ", "));
  }
  for (const auto& [section, options] : table.overrides) {
    if (!IsTier(section) && !options.empty()) {
      return error(".", section, "` is the same for all tables of a deployment: a table may only ",
                   "say null, that it does without");
    }
    if (config.sections.count(section) == 0) {
      return error(".", section, "` overrides a section that the deployment does not have; add \"",
                   section, "\" at the top");
    }
  }
  const json& vocabulary_size = value("vocabulary_size");
  if (value("out_of_range") != "default_row" &&
      (vocabulary_size.is_null() || vocabulary_size == 0)) {
    return error(".out_of_range` is ", Received(value("out_of_range")),
                 ", which needs a `vocabulary_size` of at least 1. Received: vocabulary_size ",
                 Received(vocabulary_size));
  }
  const bool follows = config.sections.count("updates") > 0 && table.without.count("updates") == 0;
  for (const char* bound : {"max_rows", "ttl_s"}) {
    if (value(bound).is_null() || follows) continue;
    return error(".", bound,
                 "` bounds what a stream of updates brings, and the table follows none: ",
                 "add the section \"updates\", or leave `", bound, "` out");
  }
  if (value("when_full") == "reject" && value("max_rows").is_null()) {
    return error(".when_full` is \"reject\", which needs a `max_rows`");
  }
  const json& row = value("default_row");
  const json& embedding_dim = value("embedding_dim");
  if (row.is_array() && !embedding_dim.is_null() && embedding_dim != row.size()) {
    return error(".default_row` has ", row.size(), " elements, the table's embedding_dim is ",
                 embedding_dim.dump());
  }
  return absl::OkStatus();
}

void FillDefaults(const ConfigFields& fields, ConfigValues* values) {
  for (const ConfigField& field : fields) {
    values->insert({field.name, {field.default_value, "default"}});
  }
}

absl::StatusOr<LayeredConfig> Finish(LayeredConfig config) {
  if (CountTiers(config) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.file,
        ": no tier is configured; add a section, one of: ", absl::StrJoin(TierNames(), ", ")));
  }
  FillDefaults({DeploymentField()}, &config.fields);
  for (auto& [section, values] : config.sections) {
    FillDefaults(ConfigSections().at(section), &values);
  }
  for (auto& [name, table] : config.tables) {
    FillDefaults(TableFields(), &table.fields);
    if (absl::Status status = CheckTable(config, name, table); !status.ok()) return status;
  }
  return config;
}

}  // namespace

ConfigValues SectionOf(const LayeredConfig& config, const LayeredTable& table,
                       const std::string& section) {
  ConfigValues values = config.sections.at(section);
  const auto overrides = table.overrides.find(section);
  if (overrides == table.overrides.end()) return values;
  const ConfigFields& fields = ConfigSections().at(section);
  for (const auto& [name, value] : overrides->second) {
    values[name] = value;
    if (const std::string other = OtherSecretField(fields, name); !other.empty()) {
      values[other] = {nullptr, value.origin};
    }
  }
  return values;
}

absl::StatusOr<LayeredConfig> LoadLayers(const std::string& path) {
  LayeredConfig config;
  config.file = path;
  absl::Status status = ApplyFile(path, {path, "hps.json", FolderOf(path)}, &config);
  if (status.ok()) status = ApplyOperatorFile(&config);
  if (status.ok()) status = ApplyEnvironment(&config);
  if (!status.ok()) return status;
  return Finish(std::move(config));
}

absl::StatusOr<LayeredConfig> ParseLayers(const std::string& text, const std::string& folder) {
  LayeredConfig config;
  config.file = (std::filesystem::path(folder) / "hps.json").string();
  auto document = ParseConfigText(text, config.file);
  if (!document.ok()) return document.status();
  absl::Status status = ApplyDocument(*document, {config.file, "hps.json", folder}, &config);
  if (!status.ok()) return status;
  return Finish(std::move(config));
}

}  // namespace tf_hps
