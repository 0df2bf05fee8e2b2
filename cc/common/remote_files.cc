#include "cc/common/remote_files.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"

namespace tf_hps {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

absl::Status AboutUrl(const std::string& url, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(MaskCredentials(url), ": ", status.message()));
}

}  // namespace

bool IsRemotePath(absl::string_view path) {
  const size_t end = path.find("://");
  return end != absl::string_view::npos && end > 0 && absl::ascii_isalpha(path[0]) &&
         std::all_of(path.begin(), path.begin() + end, [](char c) {
           return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
         });
}

std::atomic<const RemoteFileSystem*>& TheRemoteFileSystem() {
  static std::atomic<const RemoteFileSystem*> files{nullptr};
  return files;
}

absl::StatusOr<std::unique_ptr<RemoteFile>> OpenRemoteFile(const std::string& url) {
  const RemoteFileSystem* const files = TheRemoteFileSystem().load(std::memory_order_acquire);
  if (files == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        MaskCredentials(url), ": nobody reads such files in a program without TensorFlow"));
  }
  auto file = files->Open(url);
  if (!file.ok()) return AboutUrl(url, file.status());
  return file;
}

absl::StatusOr<std::string> ReadRemoteFile(const std::string& url, size_t max_bytes) {
  const auto file = OpenRemoteFile(url);
  if (!file.ok()) return file.status();
  std::string text;
  while (true) {
    const size_t before = text.size();
    text.resize(before + kReadBytes);
    const absl::StatusOr<size_t> bytes = (*file)->Read(before, kReadBytes, &text[before]);
    if (!bytes.ok()) return AboutUrl(url, bytes.status());
    text.resize(before + *bytes);
    if (text.size() > max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(MaskCredentials(url), ": has more than ", max_bytes, " bytes"));
    }
    if (*bytes < kReadBytes) return text;
  }
}

}  // namespace tf_hps
