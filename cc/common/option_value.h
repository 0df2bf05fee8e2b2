#ifndef TF_HPS_CC_COMMON_OPTION_VALUE_H_
#define TF_HPS_CC_COMMON_OPTION_VALUE_H_

#include <string>

#include "nlohmann/json.hpp"

namespace tf_hps {

// An option of a configuration's section, whose type was checked before; `otherwise` where it is
// absent or null.
template <class T>
T OptionOr(const nlohmann::json& section, const char* name, T otherwise) {
  const auto found = section.find(name);
  return found == section.end() || found->is_null() ? otherwise : found->get<T>();
}

// Empty where it is absent, or no text.
inline std::string OptionText(const nlohmann::json& section, const char* name) {
  const auto found = section.find(name);
  return found == section.end() || !found->is_string() ? "" : found->get<std::string>();
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_OPTION_VALUE_H_
