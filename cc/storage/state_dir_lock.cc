#include "cc/storage/state_dir_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "absl/strings/str_cat.h"
#include "cc/common/mutex.h"
#include "cc/storage/durable_files.h"

namespace tf_hps {
namespace {

struct HeldLocks {
  Mutex mutex;
  std::map<std::string, int> by_path ABSL_GUARDED_BY(mutex);  // open files
};

HeldLocks& TheHeldLocks() {
  static auto* const held = new HeldLocks;
  return *held;
}

// Whether `fd` is still the file at `path`: the folder may have been deleted meanwhile.
bool IsThere(const std::string& path, int fd) {
  struct stat named, held;
  return stat(path.c_str(), &named) == 0 && fstat(fd, &held) == 0 && named.st_ino == held.st_ino &&
         named.st_dev == held.st_dev;
}

}  // namespace

// As RocksDB locks: a child that is forked does not hold it, and the system knows who does. Once a
// process: closing any descriptor of the file would let go of it.
absl::Status LockFolder(const std::string& folder) {
  const std::string path = folder + "/LOCK";
  HeldLocks& held = TheHeldLocks();
  MutexLock lock(&held.mutex);
  if (const auto known = held.by_path.find(path); known != held.by_path.end()) {
    if (IsThere(path, known->second)) return absl::OkStatus();
    close(known->second);
    held.by_path.erase(known);
  }
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.is_open()) return FileStatus(path, "cannot be made", errno);
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_SETLK, &whole) != 0) {
    if (errno != EACCES && errno != EAGAIN) return FileStatus(path, "cannot be locked", errno);
    struct flock holder = whole;
    const bool known =
        fcntl(file.get(), F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK && holder.l_pid > 0;
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " is in use by ",
        known ? absl::StrCat("process ", holder.l_pid) : std::string("another process"),
        ". Each server needs a `rocksdb.state_dir` of its own (TF_HPS_ROCKSDB_STATE_DIR)"));
  }
  held.by_path[path] = file.Release();
  return absl::OkStatus();
}

absl::Status ClaimFolder(const std::string& folder, const std::string& deployment) {
  const std::string path = folder + "/deployment";
  const absl::StatusOr<std::string> known = ReadSmallFile(path);
  if (absl::IsNotFound(known.status())) return WriteDurably(path, deployment);
  if (!known.ok()) return known.status();
  if (*known == deployment) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(folder, " is deployment \"", *known, "\"'s, not \"", deployment,
                   "\"'s: each needs a `rocksdb.state_dir` of its own"));
}

}  // namespace tf_hps
