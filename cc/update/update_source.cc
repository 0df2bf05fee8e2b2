#include "cc/update/update_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/update/update_options.h"

namespace tf_hps {
namespace {

// A function's static: sources register from static initializers of other files, in any order.
std::vector<UpdateSourceBackend>& Backends() {
  static auto* const backends = new std::vector<UpdateSourceBackend>;
  return *backends;
}

}  // namespace

bool RegisterUpdateSource(UpdateSourceBackend backend) {
  std::vector<UpdateSourceBackend>& backends = Backends();
  backends.push_back(std::move(backend));
  std::sort(
      backends.begin(), backends.end(),
      [](const UpdateSourceBackend& a, const UpdateSourceBackend& b) { return a.kind < b.kind; });
  std::vector<std::string> kinds;
  for (const UpdateSourceBackend& known : backends) kinds.push_back(known.kind);
  std::vector<ConfigField> fields = UpdateConfigFields(std::move(kinds));
  for (const UpdateSourceBackend& known : backends) {
    fields.insert(fields.end(), known.fields.begin(), known.fields.end());
  }
  RegisterConfigSection("updates", std::move(fields), ConfigSectionOf::kDeployment);
  return true;
}

absl::StatusOr<std::unique_ptr<UpdateSource>> OpenUpdateSource(const nlohmann::json& options) {
  const UpdateOptions parsed = ParseUpdateOptions(options);
  const auto url = options.find("url");
  if (url == options.end() || !url->is_string()) {
    return absl::InvalidArgumentError("`updates.url` is needed: where the stream is");
  }
  for (const UpdateSourceBackend& backend : Backends()) {
    if (backend.kind == parsed.source) return backend.open(options);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("`updates.source` \"", parsed.source, "\" is unknown"));
}

}  // namespace tf_hps
