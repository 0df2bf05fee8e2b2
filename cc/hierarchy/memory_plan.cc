#include "cc/hierarchy/memory_plan.h"

#include <algorithm>
#include <string>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

// Of the limit, for the model, its requests and the allocator's slack, where a default is chosen.
constexpr double kLeftToOthers = 0.1;
// A tier of less than this is no tier.
constexpr int64_t kSmallestDefault = 1 << 20;

bool IsSet(const nlohmann::json& options, const char* name) {
  const auto option = options.find(name);
  return option != options.end() && !option->is_null();
}

}  // namespace

absl::StatusOr<int64_t> PlanMemory(const TableSpec& spec, const ResourceLimits& limits,
                                   int64_t promised, int64_t shared, TableConfig* config) {
  int64_t planned = 0;
  const int64_t left = std::max<int64_t>(0, limits.memory_free() - promised + shared);
  const std::string limit_said =
      absl::StrCat("of the limit of ", limits.memory_bytes, " bytes (", limits.memory_from, "), ",
                   limits.memory_used, " are used and ", promised, " promised to open tables",
                   shared == 0 ? "" : absl::StrCat(", ", shared, " come from other generations"));
  for (const StoreBackend& backend : StoreBackends()) {
    const auto section = config->sections.find(backend.kind);
    if (section == config->sections.end() || backend.memory_bytes == nullptr) continue;
    nlohmann::json& options = section->second;
    const bool is_bounded = IsSet(options, "capacity_rows") || IsSet(options, "capacity_bytes");
    absl::StatusOr<int64_t> bytes = backend.memory_bytes(spec, options);
    if (!bytes.ok()) return bytes.status();
    if (limits.memory_bytes > 0 && planned + *bytes > left) {
      const int64_t spare =
          left - planned - static_cast<int64_t>(kLeftToOthers * limits.memory_bytes);
      if (is_bounded || config->sections.size() == 1 || spare < kSmallestDefault) {
        return absl::FailedPreconditionError(
            absl::StrCat(spec.Described(), ": its tier \"", backend.kind, "\" needs ", *bytes,
                         " bytes for ", spec.rows, " rows, and ", left - planned,
                         " are left: ", limit_said, ". Lower `", backend.kind,
                         ".capacity_bytes` (TF_HPS_MEMORY_CAPACITY_BYTES), or raise "
                         "the limit"));
      }
      LOG(WARNING) << "table \"" << spec.name << "\": its tier \"" << backend.kind
                   << "\" would take " << *bytes << " bytes and is bounded to " << spare << ": "
                   << limit_said;
      options["capacity_bytes"] = spare;
      bytes = spare;
    }
    LOG(INFO) << "table \"" << spec.name << "\": " << *bytes << " bytes for the tier \""
              << backend.kind << "\", " << left - planned << " left: " << limit_said;
    planned += *bytes;
  }
  return planned;
}

}  // namespace tf_hps
