#include "cc/common/paths.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cc/common/remote_files.h"

namespace tf_hps {
namespace {

size_t EndOfScheme(const std::string& url) { return url.find("://") + 3; }

// ram://model/1/assets and ../assets.extra/hps give ram://model/1/assets.extra/hps: buckets know no
// "..". The host or bucket stays.
std::string JoinUrl(const std::string& folder, const std::string& relative) {
  const size_t root = EndOfScheme(folder);
  std::string path = folder.substr(root);
  if (!path.empty()) path += '/';
  path += relative;
  std::vector<std::string> kept;
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(path, '/'))) {
    if (kept.empty()) {
      kept.push_back(name);
    } else if (name == "..") {
      if (kept.size() > 1) kept.pop_back();
    } else if (!name.empty() && name != ".") {
      kept.push_back(name);
    }
  }
  return absl::StrCat(folder.substr(0, root), absl::StrJoin(kept, "/"));
}

}  // namespace

std::string FolderOf(const std::string& path) {
  if (!IsRemotePath(path)) return std::filesystem::path(path).parent_path().string();
  const size_t root = EndOfScheme(path);
  const size_t slash = path.rfind('/');
  return path.substr(0, std::max(slash, root));
}

std::string AbsolutePath(const std::string& path, const std::string& folder) {
  if (IsRemotePath(path)) return path;
  std::filesystem::path joined(path);
  if (joined.is_relative() && IsRemotePath(folder)) return JoinUrl(folder, path);
  std::error_code error;
  joined = std::filesystem::path(folder) / path;
  if (joined.is_relative()) joined = std::filesystem::current_path(error) / joined;
  std::filesystem::path resolved = std::filesystem::weakly_canonical(joined, error);
  if (error) resolved = joined;  // a folder that we may not read, say: opening it will tell
  std::string text = resolved.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace tf_hps
