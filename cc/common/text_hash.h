#ifndef TF_HPS_CC_COMMON_TEXT_HASH_H_
#define TF_HPS_CC_COMMON_TEXT_HASH_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace tf_hps {

// FNV-1a of 64 bits as 16 hexadecimal digits: a name for a text that is the same on every machine.
inline std::string TextHash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return absl::StrFormat("%016x", hash);
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_TEXT_HASH_H_
