#ifndef TF_HPS_CC_STORAGE_STORE_MANIFEST_H_
#define TF_HPS_CC_STORAGE_STORE_MANIFEST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tf_hps {

// What a store's folder holds when it is whole: a file beside the others, written last. See
// docs/formats.md.
inline constexpr char kStoreManifestName[] = "tf_hps_manifest.json";

inline constexpr size_t kStoreIdDigits = 32;

struct StoreFile {
  std::string name;
  int64_t bytes = 0;
  std::string sha256;  // 64 hexadecimal digits
};

struct StoreManifest {
  std::vector<StoreFile> files;  // by name, each once

  int64_t bytes() const;
  // kStoreIdDigits hexadecimal digits that depend on what is in the files and on nothing else.
  std::string Id() const;
};

// DataLoss for a text that is none, FailedPrecondition for a newer version's. Messages begin with
// `where`.
absl::StatusOr<StoreManifest> ParseStoreManifest(const std::string& text, const std::string& where);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_STORE_MANIFEST_H_
