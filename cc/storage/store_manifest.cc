#include "cc/storage/store_manifest.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"
#include "cc/common/sha256.h"
#include "nlohmann/json.hpp"

namespace tf_hps {
namespace {

using nlohmann::json;

constexpr int kManifestVersion = 1;

// A name becomes a file of ours, which a text from elsewhere must not put anywhere else.
bool IsFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name != kStoreManifestName &&
         name.find('/') == std::string::npos && !absl::EndsWith(name, ".partial") &&
         IsCleanText(name);
}

bool IsSha256(const std::string& digits) {
  return digits.size() == 64 && std::all_of(digits.begin(), digits.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// False where the entry is none.
bool ParseFile(const json& entry, StoreFile* file) {
  if (!entry.is_object()) return false;
  const auto name = entry.find("name"), bytes = entry.find("bytes"), sha256 = entry.find("sha256");
  if (name == entry.end() || bytes == entry.end() || sha256 == entry.end()) return false;
  if (!name->is_string() || !bytes->is_number_integer() || !sha256->is_string()) return false;
  *file = {name->get<std::string>(), bytes->get<int64_t>(), sha256->get<std::string>()};
  return IsFileName(file->name) && file->bytes >= 0 && IsSha256(file->sha256);
}

}  // namespace

int64_t StoreManifest::bytes() const {
  int64_t sum = 0;
  for (const StoreFile& file : files) sum += file.bytes;
  return sum;
}

std::string StoreManifest::Id() const {
  Sha256 digest;
  for (const StoreFile& file : files) {
    const std::string line = absl::StrCat(file.sha256, " ", file.bytes, " ", file.name, "\n");
    digest.Add(line.data(), line.size());
  }
  return digest.Finish().substr(0, kStoreIdDigits);
}

absl::StatusOr<StoreManifest> ParseStoreManifest(const std::string& text,
                                                 const std::string& where) {
  const auto error = [&](const auto&... parts) {
    return absl::DataLossError(absl::StrCat(where, ": is no manifest of a store: ", parts...));
  };
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return error("it is no JSON object");
  const auto version = document.find("format_version");
  if (version == document.end() || !version->is_number_integer()) {
    return error("it has no format_version");
  }
  if (*version != kManifestVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": has format_version ", version->dump(),
                     ", this tf_hps reads version ", kManifestVersion));
  }
  const auto files = document.find("files");
  if (files == document.end() || !files->is_array() || files->empty()) {
    return error("it has no files");
  }
  StoreManifest manifest;
  for (const json& entry : *files) {
    StoreFile file;
    if (!ParseFile(entry, &file)) {
      return error("file ", manifest.files.size() + 1,
                   " of its list has no name, bytes and sha256 that could be a file's");
    }
    manifest.files.push_back(std::move(file));
  }
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const StoreFile& a, const StoreFile& b) { return a.name < b.name; });
  for (size_t i = 1; i < manifest.files.size(); ++i) {
    if (manifest.files[i].name == manifest.files[i - 1].name) {
      return error("the file ", Quoted(manifest.files[i].name), " stands twice in it");
    }
  }
  return manifest;
}

}  // namespace tf_hps
