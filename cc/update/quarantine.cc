#include "cc/update/quarantine.h"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace tf_hps {
namespace {

std::string NameOf(absl::string_view position) {
  std::string name;
  for (const char c : position) name += absl::ascii_isalnum(c) || c == '-' || c == '.' ? c : '_';
  const size_t suffix = name.rfind(".hpsu");
  return suffix == std::string::npos ? name : name.substr(0, suffix);
}

absl::Status WriteFile(const std::string& path, absl::string_view content) {
  // Under its name when it is whole.
  const std::string unfinished = absl::StrCat(path, ".unfinished");
  std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(unfinished, path, error);
  if (file && !error) return absl::OkStatus();
  std::filesystem::remove(unfinished, error);
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace

absl::Status Quarantine::Prepare() {
  if (prepared_) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make ", folder_, ": ", error.message()));
  }
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code no_size;
    const auto size = it->file_size(no_size);
    if (!no_size) bytes_ += static_cast<int64_t>(size);
  }
  prepared_ = true;
  return absl::OkStatus();
}

absl::Status Quarantine::Keep(const UpdateSource::Commit& commit, absl::string_view reason) {
  if (folder_.empty()) return absl::OkStatus();
  if (absl::Status status = Prepare(); !status.ok()) return status;
  const int64_t size = static_cast<int64_t>(commit.frames.size());
  if (bytes_ + size > max_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        folder_, " has ", bytes_, " bytes, `updates.quarantine_bytes` is ", max_bytes_));
  }
  const std::string path = absl::StrCat(folder_, "/", NameOf(commit.position));
  absl::Status status = WriteFile(absl::StrCat(path, ".hpsu"), commit.frames);
  if (!status.ok()) return status;
  bytes_ += size;
  const nlohmann::json about = {{"position", commit.position},
                                {"reason", std::string(reason)},
                                {"time", static_cast<int64_t>(std::time(nullptr))}};
  return WriteFile(absl::StrCat(path, ".json"),
                   about.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace tf_hps
