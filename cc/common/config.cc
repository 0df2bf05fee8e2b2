#include "cc/common/config.h"

#include <utility>

#include "cc/common/config_layers.h"

namespace tf_hps {
namespace {

using nlohmann::json;

OutOfRange OutOfRangeNamed(const std::string& name) {
  if (name == "error") return OutOfRange::kError;
  return name == "wrap_negatives" ? OutOfRange::kWrapNegatives : OutOfRange::kDefaultRow;
}

TableConfig TableFrom(const LayeredConfig& config, const std::string& name,
                      const LayeredTable& layered) {
  const auto value = [&](const char* field) -> const json& {
    return layered.fields.at(field).value;
  };
  const auto text = [&](const char* field) {
    return value(field).is_null() ? std::string() : value(field).get<std::string>();
  };
  const auto number = [&](const char* field) {
    return value(field).is_null() ? 0 : value(field).get<int64_t>();
  };
  TableConfig table;
  table.name = name;
  table.generation = text("generation");
  table.embedding_dim = number("embedding_dim");
  table.row_format = text("row_format");
  table.default_row = value("default_row");
  table.out_of_range = OutOfRangeNamed(text("out_of_range"));
  table.vocabulary_size = number("vocabulary_size");
  table.bounds = {number("max_rows"), number("ttl_s"), text("when_full") == "reject"};
  table.miss_deadline_us = number("miss_deadline_us");
  for (const auto& [section, unused] : config.sections) {
    if (layered.without.count(section) > 0) continue;
    json& options = table.sections[section] = json::object();
    for (const auto& [field, resolved] : SectionOf(config, layered, section)) {
      options[field] = resolved.value;
    }
  }
  return table;
}

DeploymentConfig DeploymentFrom(const LayeredConfig& layered) {
  DeploymentConfig config;
  config.path = layered.file;
  config.deployment = layered.fields.at("deployment").value.get<std::string>();
  for (const auto& [name, table] : layered.tables) {
    config.tables[name] = TableFrom(layered, name, table);
  }
  return config;
}

}  // namespace

DefaultBuckets TableConfig::default_buckets() const {
  if (!default_row.is_object() || !default_row.contains("by")) return {};
  const auto& by = default_row.at("by").get_ref<const std::string&>();
  const auto rule = by == "floormod"      ? BucketRule::kFloorMod
                    : by == "fingerprint" ? BucketRule::kFingerprint
                                          : BucketRule::kDecimalFingerprint;
  return {default_row.at("buckets").get<uint32_t>(), rule};
}

absl::StatusOr<DeploymentConfig> LoadConfig(const std::string& path) {
  auto layers = LoadLayers(path);
  if (!layers.ok()) return layers.status();
  return DeploymentFrom(*layers);
}

absl::StatusOr<DeploymentConfig> ParseConfig(const std::string& text, const std::string& folder) {
  auto layers = ParseLayers(text, folder);
  if (!layers.ok()) return layers.status();
  return DeploymentFrom(*layers);
}

}  // namespace tf_hps
