#include "cc/hierarchy/table_health.h"

namespace tf_hps {
namespace {

bool IsDown(const nlohmann::json& tier) {
  if (tier.value("failing", false)) return true;
  // A tier of several servers answers without some of them.
  if (!tier.contains("servers")) return false;
  for (const nlohmann::json& server : tier["servers"]) {
    if (server.value("breaker", "closed") != "closed") return true;
  }
  return false;
}

}  // namespace

TableHealth HealthOf(const nlohmann::json& stats) {
  const nlohmann::json& tiers = stats.at("tiers");
  if (!tiers.empty() && tiers.back().value("failing", false)) return TableHealth::kFailing;
  for (const nlohmann::json& tier : tiers) {
    if (IsDown(tier)) return TableHealth::kDegraded;
  }
  for (const char* part : {"preload", "updates"}) {
    if (stats.contains(part) && stats[part].contains("error")) return TableHealth::kDegraded;
  }
  return TableHealth::kOk;
}

const char* TableHealthName(TableHealth health) {
  switch (health) {
    case TableHealth::kOk:
      return "ok";
    case TableHealth::kDegraded:
      return "degraded";
    case TableHealth::kFailing:
      return "failing";
  }
  return "failing";
}

}  // namespace tf_hps
