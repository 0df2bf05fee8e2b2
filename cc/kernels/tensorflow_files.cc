// Files under the schemes that TensorFlow knows, for the floors below.

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/remote_files.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/file_system.h"

namespace tf_hps {
namespace {

class TensorflowFile : public RemoteFile {
 public:
  explicit TensorflowFile(std::unique_ptr<tensorflow::RandomAccessFile> file)
      : file_(std::move(file)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, size_t bytes, char* to) override {
    absl::string_view read;
    // Not the overload with a span: older releases, which servers are built with, have this one
    // alone.
    const absl::Status status = file_->Read(offset, bytes, &read, to);
    if (!status.ok() && !absl::IsOutOfRange(status)) return status;  // out of range: the file ends
    if (!read.empty() && read.data() != to) std::memmove(to, read.data(), read.size());
    return read.size();
  }

 private:
  const std::unique_ptr<tensorflow::RandomAccessFile> file_;
};

class TensorflowFiles : public RemoteFileSystem {
 public:
  absl::StatusOr<std::unique_ptr<RemoteFile>> Open(const std::string& url) const override {
    std::unique_ptr<tensorflow::RandomAccessFile> file;
    absl::Status status = tensorflow::Env::Default()->NewRandomAccessFile(url, &file);
    if (!status.ok()) return status;
    return std::make_unique<TensorflowFile>(std::move(file));
  }
};

const bool tensorflow_files_is_registered = [] {
  TheRemoteFileSystem().store(new TensorflowFiles, std::memory_order_release);
  return true;
}();

}  // namespace
}  // namespace tf_hps
