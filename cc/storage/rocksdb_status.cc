#include "cc/storage/rocksdb_status.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace tf_hps {
namespace {

absl::StatusCode CodeOf(absl::string_view text) {
  // Words of the operating system first: RocksDB wraps them in "IO error" and in "Corruption"
  // alike.
  if (absl::StrContains(text, "No space left on device") ||
      absl::StrContains(text, "Too many open files") || absl::StrContains(text, "File too large") ||
      absl::StrContains(text, "Disk quota exceeded") ||
      absl::StrContains(text, "Space limit reached")) {
    return absl::StatusCode::kResourceExhausted;
  }
  if (absl::StrContains(text, "Permission denied")) return absl::StatusCode::kPermissionDenied;
  if (absl::StartsWith(text, "Corruption") ||
      absl::StrContains(text, "No such file or directory")) {
    return absl::StatusCode::kDataLoss;
  }
  if (absl::StartsWith(text, "IO error") || absl::StartsWith(text, "Resource busy") ||
      absl::StartsWith(text, "Operation timed out") ||
      absl::StartsWith(text, "Operation failed. Try again") ||
      absl::StartsWith(text, "Shutdown in progress")) {
    return absl::StatusCode::kUnavailable;
  }
  if (absl::StartsWith(text, "Not implemented") ||
      absl::StrContains(text, "ompression type")) {  // a codec this build lacks
    return absl::StatusCode::kUnimplemented;
  }
  if (absl::StartsWith(text, "Invalid argument")) return absl::StatusCode::kInvalidArgument;
  return absl::StatusCode::kInternal;
}

// "process 123", or "another process" where the system does not tell. Reads /proc/locks: to ask
// with fcntl means to open the file, and closing that drops a lock of ours.
std::string LockHolder(absl::string_view text) {
  const std::vector<std::string> around = absl::StrSplit(text, "While lock file: ");
  struct stat file;
  if (around.size() == 2) {
    const std::string path = around[1].substr(0, around[1].rfind("/LOCK") + 5);
    if (stat(path.c_str(), &file) == 0) {
      const std::string wanted =
          absl::StrFormat("%02x:%02x:%d", major(file.st_dev), minor(file.st_dev), file.st_ino);
      std::ifstream locks("/proc/locks");
      for (std::string line; std::getline(locks, line);) {
        // 1: POSIX  ADVISORY  WRITE 123 08:01:4567 0 EOF
        const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
        if (words.size() > 5 && words[5] == wanted) return absl::StrCat("process ", words[4]);
      }
    }
  }
  return "another process";
}

}  // namespace

absl::Status RocksdbStatus(absl::string_view where, absl::string_view text) {
  if (absl::StrContains(text, "lock hold by current process") ||
      absl::StrContains(text, "While lock file")) {
    return absl::FailedPreconditionError(absl::StrCat(
        where, " is open for writing in ", LockHolder(text),
        ". One process at a time may write to it: open it with `read_only`, or set "
        "TF_HPS_ROCKSDB_READ_ONLY=1; an overlay needs a `rocksdb.state_dir` for each server. (",
        text, ")"));
  }
  return absl::Status(CodeOf(text), absl::StrCat(where, ": ", text));
}

std::string RocksdbStoreName(absl::string_view path) {
  return absl::StrCat("RocksDB store \"", path, "\"");
}

}  // namespace tf_hps
