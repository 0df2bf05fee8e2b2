#ifndef TF_HPS_CC_COMMON_CONFIG_NAMES_H_
#define TF_HPS_CC_COMMON_CONFIG_NAMES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tf_hps {

// Letters, digits, "_", "." and "-", with "/" inside: names of deployments and tables.
bool IsConfigName(absl::string_view name);
// [a-z0-9]+ with "-" inside.
bool IsGeneration(absl::string_view generation);
// What an environment variable may be called.
bool IsVariableName(absl::string_view name);
// UTF-8 without NUL, so that it can be written as JSON again and given to the system.
bool IsCleanText(const std::string& text);

// "password", "api_key", ...: a field that nobody should fill in literally.
bool LooksLikeSecret(absl::string_view name);

// The rest of a message about an unknown name: `Did you mean "memory"? Known: memory, rocksdb`, and
// where secrets belong when the name looks like one.
std::string KnownNames(absl::string_view unknown, const std::vector<std::string>& known);

// `text` in quotes for a message: control characters escaped, credentials in URLs masked, long
// texts cut.
std::string Quoted(const std::string& text);

// redis://user:pw@host becomes redis://***@host, and redis://host?password=pw becomes
// redis://host?password=***, wherever they occur.
std::string MaskCredentials(absl::string_view text);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_NAMES_H_
