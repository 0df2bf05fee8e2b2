#include "cc/storage/file_fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"
#include "cc/common/exceptions.h"
#include "cc/common/mutex.h"
#include "cc/common/remote_files.h"
#include "cc/common/sha256.h"
#include "cc/storage/durable_files.h"

namespace tf_hps {
namespace {

constexpr int kAttempts = 4;
constexpr int kAttemptsFromTheStart = 2;

std::string PartialPath(const StoreFile& file, const std::string& folder) {
  return absl::StrCat(folder, "/", file.name, ".partial");
}

// The files of one store on their way, each with one thread.
class StoreTransfer {
 public:
  StoreTransfer(const std::string& url, std::vector<StoreFile> files, const std::string& folder,
                const FetchOptions& options)
      : url_(url), folder_(folder), options_(options), files_(std::move(files)) {
    // The largest first: a thread that begins one when all others are done works alone.
    std::stable_sort(files_.begin(), files_.end(),
                     [](const StoreFile& a, const StoreFile& b) { return a.bytes > b.bytes; });
    for (const StoreFile& file : files_) bytes_ += BytesToFetch(file, folder_);
  }

  absl::Status Run() {
    const size_t n = std::min(std::max<size_t>(options_.threads, 1), files_.size());
    {
      MutexLock lock(&mutex_);
      working_ = n;
    }
    std::vector<std::thread> threads;
    for (size_t i = 0; i < n; ++i) threads.emplace_back([this] { FetchUntilDone(); });
    WaitAndLog();
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(&mutex_);
    return status_.ok() ? SyncFolder(folder_) : status_;
  }

 private:
  void FetchUntilDone() {
    absl::Status status;
    while (status.ok() && !stopping_.load(std::memory_order_relaxed)) {
      const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= files_.size()) break;
      status = CatchExceptions([&] { return Fetch(files_[i]); });
      files_done_.fetch_add(1, std::memory_order_relaxed);
    }
    MutexLock lock(&mutex_);
    // The others are cancelled once they can see `stopping_`: theirs is not the reason.
    if (status_.ok() && !status.ok()) {
      status_ = status;
      stopping_.store(true, std::memory_order_relaxed);
    }
    --working_;
    changed_.NotifyAll();
  }

  void WaitAndLog() {
    const auto begin = std::chrono::steady_clock::now();
    auto next_line = begin + options_.log_every;
    MutexLock lock(&mutex_);
    while (working_ > 0) {
      changed_.WaitFor(&mutex_, options_.log_every);
      const auto now = std::chrono::steady_clock::now();
      if (working_ == 0 || now < next_line) continue;
      next_line = now + options_.log_every;
      const int64_t came = bytes_came_.load(std::memory_order_relaxed);
      const double seconds = std::chrono::duration<double>(now - begin).count();
      LOG(INFO) << MaskCredentials(url_) << " is being fetched: " << came << " of " << bytes_
                << " bytes, " << files_done_.load(std::memory_order_relaxed) << " of "
                << files_.size() << " files, " << static_cast<int64_t>(came / seconds / 1e6)
                << " MB/s";
    }
  }

  absl::Status Fetch(const StoreFile& file) {
    int from_the_start = 0;
    for (int attempt = 1;; ++attempt) {
      int64_t resumed_at = 0;
      absl::Status status = FetchOnce(file, &resumed_at);
      from_the_start += resumed_at == 0;
      if (status.ok() || stopping_.load(std::memory_order_relaxed)) return status;
      const std::string where = absl::StrCat(MaskCredentials(url_), "/", file.name);
      if (absl::IsNotFound(status)) {
        return absl::DataLossError(absl::StrCat(where, " is not there, and the store's ",
                                                kStoreManifestName, " names it"));
      }
      if (absl::IsDataLoss(status)) {
        // What was there from before may be what was wrong.
        unlink(PartialPath(file, folder_).c_str());
        if (from_the_start >= kAttemptsFromTheStart) return status;
      } else if (absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status) ||
                 attempt == kAttempts) {
        return status;
      }
      LOG(WARNING) << "another attempt after: " << status;
      std::this_thread::sleep_for(options_.pause * attempt);
    }
  }

  // From where NAME.partial ends: it is written from front to back and by one thread, so that after
  // a kill it is a beginning of the file. After a crash of the machine it may be anything of that
  // length; the checksum, which is reckoned over what is there too, tells.
  absl::Status FetchOnce(const StoreFile& file, int64_t* resumed_at) {
    const std::string where = absl::StrCat(MaskCredentials(url_), "/", file.name);
    const std::string path = PartialPath(file, folder_);
    const FileDescriptor out(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!out.is_open()) return FileStatus(path, "cannot be made", errno);
    Sha256 digest;
    std::vector<char> buffer(std::min<int64_t>(options_.range_bytes, file.bytes) + 1);
    absl::Status status = AddWhatIsThere(file, out.get(), path, &buffer, &digest, resumed_at);
    if (!status.ok()) return status;
    const auto remote = OpenRemoteFile(absl::StrCat(url_, "/", file.name));
    if (!remote.ok()) return remote.status();
    for (int64_t at = *resumed_at;;) {
      if (stopping_.load(std::memory_order_relaxed)) return absl::CancelledError(where);
      const int64_t wanted = std::min<int64_t>(options_.range_bytes, file.bytes - at);
      const bool is_last = at + wanted == file.bytes;
      // One more of the last range: a file that is longer than it should be is another file.
      const auto came = (*remote)->Read(at, wanted + is_last, buffer.data());
      if (!came.ok()) {
        return absl::Status(came.status().code(),
                            absl::StrCat(where, ": ", came.status().message()));
      }
      const auto bytes = static_cast<int64_t>(*came);
      if (bytes != wanted) {
        return absl::DataLossError(
            absl::StrCat(where, bytes > wanted ? " is longer than the " : " ends after ",
                         bytes > wanted ? "" : absl::StrCat(at + bytes, " of the "), file.bytes,
                         " bytes that the store's ", kStoreManifestName, " says"));
      }
      status = Append(out.get(), path, buffer.data(), bytes);
      if (!status.ok()) return status;
      digest.Add(buffer.data(), bytes);
      bytes_came_.fetch_add(bytes, std::memory_order_relaxed);
      at += bytes;
      if (is_last) break;
    }
    const std::string sha256 = digest.Finish();
    if (sha256 != file.sha256) {
      return absl::DataLossError(absl::StrCat(where, " is altered: its sha256 is ", sha256,
                                              ", the store's ", kStoreManifestName, " says ",
                                              file.sha256));
    }
    if (fsync(out.get()) != 0) return FileStatus(path, "cannot be synced", errno);
    return RenameFile(path, absl::StrCat(folder_, "/", file.name));
  }

  // Reads `fd` to its end, and says where that is.
  static absl::Status AddWhatIsThere(const StoreFile& file, int fd, const std::string& path,
                                     std::vector<char>* buffer, Sha256* digest, int64_t* end) {
    *end = 0;
    if (FileBytes(path) > file.bytes && ftruncate(fd, 0) != 0) {
      return FileStatus(path, "cannot be emptied", errno);
    }
    while (true) {
      const ssize_t n = read(fd, buffer->data(), buffer->size());
      if (n < 0) return FileStatus(path, "cannot be read", errno);
      if (n == 0) return absl::OkStatus();
      digest->Add(buffer->data(), n);
      *end += n;
    }
  }

  static absl::Status Append(int fd, const std::string& path, const char* data, int64_t bytes) {
    while (bytes > 0) {
      const ssize_t n = write(fd, data, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileStatus(path, "cannot be written", errno);
      data += n;
      bytes -= n;
    }
    return absl::OkStatus();
  }

  const std::string url_;
  const std::string folder_;
  const FetchOptions options_;
  std::vector<StoreFile> files_;
  int64_t bytes_ = 0;

  std::atomic<size_t> next_{0};
  std::atomic<size_t> files_done_{0};
  std::atomic<int64_t> bytes_came_{0};
  std::atomic<bool> stopping_{false};

  Mutex mutex_;
  CondVar changed_;
  size_t working_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status FetchFiles(const std::string& url, std::vector<StoreFile> files,
                        const std::string& folder, const FetchOptions& options) {
  return StoreTransfer(url, std::move(files), folder, options).Run();
}

int64_t BytesToFetch(const StoreFile& file, const std::string& folder) {
  const int64_t there = FileBytes(PartialPath(file, folder));
  return there < 0 || there > file.bytes ? file.bytes : file.bytes - there;
}

}  // namespace tf_hps
