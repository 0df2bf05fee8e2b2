#include "cc/hierarchy/hot_keys.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "cc/common/remote_files.h"

namespace tf_hps {
namespace {

constexpr char kMagic[] = "hpshotk1";
constexpr size_t kMagicBytes = sizeof(kMagic) - 1;
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keys are written as they are in memory");
constexpr size_t kMaxRemoteBytes = size_t{4} << 30;

absl::StatusOr<std::string> ReadLocalFile(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  std::ifstream file(path, std::ios::binary);
  std::string text(bytes, '\0');
  if (!file.read(&text[0], bytes)) {
    return absl::DataLossError(absl::StrCat(path, " cannot be read to its end"));
  }
  return text;
}

}  // namespace

std::string HotKeysPath(const std::string& folder, const TableSpec& spec) {
  return absl::StrCat(folder, "/", spec.deployment, "/", spec.name, ".keys");
}

absl::StatusOr<std::vector<Key>> ReadHotKeys(const std::string& path) {
  const absl::StatusOr<std::string> text =
      IsRemotePath(path) ? ReadRemoteFile(path, kMaxRemoteBytes) : ReadLocalFile(path);
  if (!text.ok()) return text.status();
  if (text->size() < kMagicBytes || text->compare(0, kMagicBytes, kMagic) != 0 ||
      (text->size() - kMagicBytes) % sizeof(Key) != 0) {
    return absl::DataLossError(
        absl::StrCat(path, " holds no hot keys: they are \"", kMagic, "\" and int64 keys"));
  }
  std::vector<Key> keys((text->size() - kMagicBytes) / sizeof(Key));
  std::memcpy(keys.data(), text->data() + kMagicBytes, keys.size() * sizeof(Key));
  return keys;
}

absl::Status WriteHotKeys(const std::string& path, absl::Span<const Key> keys) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  // Two processes may write at once; each renames its own.
  const std::string partial = absl::StrCat(path, ".", getpid(), ".partial");
  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    file.write(kMagic, kMagicBytes);
    file.write(reinterpret_cast<const char*>(keys.data()), keys.size() * sizeof(Key));
    file.close();
    if (!file) {
      std::remove(partial.c_str());
      return absl::UnavailableError(absl::StrCat(path, " cannot be written"));
    }
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    std::remove(partial.c_str());
    return absl::UnavailableError(absl::StrCat(path, " cannot be replaced"));
  }
  return absl::OkStatus();
}

HotKeySaver::HotKeySaver(std::string path, std::chrono::milliseconds pause,
                         std::function<std::vector<Key>()> hot_keys)
    : path_(std::move(path)),
      pause_(pause),
      hot_keys_(std::move(hot_keys)),
      thread_([this] { Run(); }) {}

HotKeySaver::~HotKeySaver() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  stopped_.NotifyAll();
  thread_.join();
  Save();
}

void HotKeySaver::Run() {
  for (;;) {
    {
      MutexLock lock(&mutex_);
      const auto next = std::chrono::steady_clock::now() + pause_;
      while (!stopping_ && std::chrono::steady_clock::now() < next) {
        stopped_.WaitFor(&mutex_, pause_);
      }
      if (stopping_) return;
    }
    Save();
  }
}

void HotKeySaver::Save() {
  const std::vector<Key> keys = hot_keys_();
  if (keys.empty()) return;  // nothing was asked for yet: what an earlier process wrote is better
  const absl::Status status = WriteHotKeys(path_, keys);
  if (!status.ok()) LOG(WARNING) << "hot keys are not saved: " << status;
}

}  // namespace tf_hps
