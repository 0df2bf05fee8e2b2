#ifndef TF_HPS_CC_STORAGE_DURABLE_FILES_H_
#define TF_HPS_CC_STORAGE_DURABLE_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tf_hps {

// Files and folders of this machine that are there after a crash of it.

// "<path> <what>: <errno's words>": ResourceExhausted for a full disk, PermissionDenied where we
// may not, else Unavailable.
absl::Status FileStatus(const std::string& path, absl::string_view what, int error);

// An open file, closed at the end.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int Release();

 private:
  int fd_;
};

// Names in a folder are the folder's content: they are there when it is synced.
absl::Status SyncFolder(const std::string& path);
absl::Status MakeFolders(const std::string& path);
absl::Status RenameFile(const std::string& from, const std::string& to);
// A small file, whole or not at all.
absl::Status WriteDurably(const std::string& path, absl::string_view text);
// NotFound where there is none.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);
// -1 where there is no such file.
int64_t FileBytes(const std::string& path);
// What may still be written on the disk of a folder.
absl::StatusOr<int64_t> FreeBytes(const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_DURABLE_FILES_H_
