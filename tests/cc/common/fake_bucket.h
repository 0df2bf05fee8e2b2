#ifndef TF_HPS_TESTS_CC_COMMON_FAKE_BUCKET_H_
#define TF_HPS_TESTS_CC_COMMON_FAKE_BUCKET_H_

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cc/common/mutex.h"
#include "cc/common/remote_files.h"

namespace tf_hps {

// A bucket behind a network that a test makes bad: fake://bucket/NAME is the file NAME in a folder.
// It stands for the network; what reads from it is real. There is one at a time.
class FakeBucket : public RemoteFileSystem {
 public:
  // May change, shorten or refuse what was read at `offset`.
  using Fault =
      std::function<absl::Status(const std::string& name, uint64_t offset, std::string* bytes)>;

  explicit FakeBucket(std::string folder) : folder_(std::move(folder)) {
    TheRemoteFileSystem().store(this);
  }
  ~FakeBucket() override { TheRemoteFileSystem().store(nullptr); }

  static std::string Url(const std::string& name) { return "fake://bucket/" + name; }

  void SetFault(Fault fault) {
    MutexLock lock(&mutex_);
    fault_ = std::move(fault);
  }
  // Bytes handed out, by name; and begins anew.
  std::map<std::string, int64_t> TakeBytesRead() {
    MutexLock lock(&mutex_);
    return std::exchange(bytes_read_, {});
  }

  absl::StatusOr<std::unique_ptr<RemoteFile>> Open(const std::string& url) const override {
    if (url.rfind(Url(""), 0) != 0) return absl::UnimplementedError("no such scheme");
    const std::string name = url.substr(Url("").size());
    std::ifstream file(folder_ + "/" + name, std::ios::binary);
    if (!file) return absl::NotFoundError("no such object");
    return std::make_unique<File>(this, name,
                                  std::string(std::istreambuf_iterator<char>(file), {}));
  }

 private:
  class File : public RemoteFile {
   public:
    File(const FakeBucket* bucket, std::string name, std::string content)
        : bucket_(bucket), name_(std::move(name)), content_(std::move(content)) {}

    absl::StatusOr<size_t> Read(uint64_t offset, size_t bytes, char* to) override {
      std::string read = offset < content_.size() ? content_.substr(offset, bytes) : "";
      Fault fault;
      {
        MutexLock lock(&bucket_->mutex_);
        fault = bucket_->fault_;
      }
      absl::Status status = fault ? fault(name_, offset, &read) : absl::OkStatus();
      if (!status.ok()) return status;
      std::memcpy(to, read.data(), std::min(read.size(), bytes));
      MutexLock lock(&bucket_->mutex_);
      bucket_->bytes_read_[name_] += read.size();
      return read.size();
    }

   private:
    const FakeBucket* const bucket_;
    const std::string name_, content_;
  };

  const std::string folder_;
  mutable Mutex mutex_;
  mutable std::map<std::string, int64_t> bytes_read_ ABSL_GUARDED_BY(mutex_);
  Fault fault_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_COMMON_FAKE_BUCKET_H_
