#include "cc/storage/durable_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace tf_hps {

absl::Status FileStatus(const std::string& path, absl::string_view what, int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EMFILE;
  const bool is_forbidden = error == EACCES || error == EPERM || error == EROFS;
  const auto code = is_full        ? absl::StatusCode::kResourceExhausted
                    : is_forbidden ? absl::StatusCode::kPermissionDenied
                                   : absl::StatusCode::kUnavailable;
  return absl::Status(code, absl::StrCat(path, " ", what, ": ", std::strerror(error)));
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

int FileDescriptor::Release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

absl::Status SyncFolder(const std::string& path) {
  const FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || fsync(folder.get()) != 0) {
    return FileStatus(path, "cannot be synced", errno);
  }
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  // Whatever the words: a folder that is not there and cannot be made is the operator's matter.
  if (error && error != std::errc::no_space_on_device) {
    return absl::PermissionDeniedError(absl::StrCat(path, " cannot be made: ", error.message()));
  }
  return error ? FileStatus(path, "cannot be made", error.value()) : absl::OkStatus();
}

absl::Status RenameFile(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return FileStatus(from, absl::StrCat("cannot be renamed to ", to), errno);
}

absl::Status WriteDurably(const std::string& path, absl::string_view text) {
  const std::string partial = path + ".partial";
  {
    const FileDescriptor file(
        open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.is_open()) return FileStatus(partial, "cannot be made", errno);
    const ssize_t written = write(file.get(), text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size())) {
      return FileStatus(partial, "cannot be written", written < 0 ? errno : ENOSPC);
    }
    if (fsync(file.get()) != 0) return FileStatus(partial, "cannot be synced", errno);
  }
  if (absl::Status status = RenameFile(partial, path); !status.ok()) return status;
  return SyncFolder(std::filesystem::path(path).parent_path().string());
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int64_t FileBytes(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) ? facts.st_size : -1;
}

absl::StatusOr<int64_t> FreeBytes(const std::string& folder) {
  struct statvfs facts;
  if (statvfs(folder.c_str(), &facts) != 0) return FileStatus(folder, "cannot be asked", errno);
  return static_cast<int64_t>(facts.f_bavail) * static_cast<int64_t>(facts.f_frsize);
}

}  // namespace tf_hps
