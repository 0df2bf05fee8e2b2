#include "cc/storage/rocksdb_status.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

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

}  // namespace

absl::Status RocksdbStatus(absl::string_view where, absl::string_view text) {
  if (absl::StrContains(text, "lock hold by current process") ||
      absl::StrContains(text, "While lock file")) {
    return absl::FailedPreconditionError(absl::StrCat(
        where,
        " is open for writing elsewhere. One process at a time may write to it: open it with "
        "`read_only`, or set TF_HPS_ROCKSDB_READ_ONLY=1. (",
        text, ")"));
  }
  return absl::Status(CodeOf(text), absl::StrCat(where, ": ", text));
}

std::string RocksdbStoreName(absl::string_view path) {
  return absl::StrCat("RocksDB store \"", path, "\"");
}

}  // namespace tf_hps
