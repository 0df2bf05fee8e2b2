#ifndef TF_HPS_CC_COMMON_REMOTE_FILES_H_
#define TF_HPS_CC_COMMON_REMOTE_FILES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tf_hps {

// Files that are named by a scheme: gs://bucket/model/1/assets/hps.json. The kernels read them with
// TensorFlow's file systems, which the floors below know through this alone.

// Whether a path begins with a scheme and "://".
bool IsRemotePath(absl::string_view path);

class RemoteFile {
 public:
  virtual ~RemoteFile() = default;
  // Reads into `to` what stands in `bytes` bytes from `offset` on, and says how many there were:
  // fewer where the file ends. NotFound, here or from Open, where there is no such file.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, size_t bytes, char* to) = 0;
};

// Thread-safe.
class RemoteFileSystem {
 public:
  virtual ~RemoteFileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<RemoteFile>> Open(const std::string& url) const = 0;
};

// Null until somebody puts one there, who never destroys it.
std::atomic<const RemoteFileSystem*>& TheRemoteFileSystem();

// Of TheRemoteFileSystem; FailedPrecondition where there is none. Messages begin with the URL.
absl::StatusOr<std::unique_ptr<RemoteFile>> OpenRemoteFile(const std::string& url);
// The whole file; InvalidArgument for one that has more bytes than that.
absl::StatusOr<std::string> ReadRemoteFile(const std::string& url, size_t max_bytes);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_REMOTE_FILES_H_
