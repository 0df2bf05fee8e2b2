#include "cc/storage/fetched_stores.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"
#include "cc/common/mutex.h"
#include "cc/common/remote_files.h"
#include "cc/storage/durable_files.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/state_dir_lock.h"

namespace tf_hps {
namespace {

constexpr size_t kMaxManifestBytes = size_t{64} << 20;
constexpr char kPartial[] = ".partial";
constexpr char kDropped[] = ".dropped";

struct Fetched {
  Mutex mutex;
  // One fetch at a time for each folder; locked before `mutex`, and never destroyed.
  std::map<std::string, std::unique_ptr<Mutex>> fetching ABSL_GUARDED_BY(mutex);
  std::map<std::string, std::weak_ptr<const FetchedStore>> by_path ABSL_GUARDED_BY(mutex);
};

Fetched& AllFetched() {
  static auto* const fetched = new Fetched;
  return *fetched;
}

std::string StoresFolder(const std::string& state_dir) {
  std::error_code error;
  const auto canonical = std::filesystem::weakly_canonical(state_dir, error);
  return absl::StrCat(error ? state_dir : canonical.string(), "/stores");
}

// Nobody else's: a user may have stores of his own under that name.
bool IsOurs(const std::string& name) {
  const std::string id = name.substr(0, kStoreIdDigits), rest = name.substr(id.size());
  return id.size() == kStoreIdDigits &&
         std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isxdigit(c); }) &&
         (rest.empty() || rest == kPartial || rest == kDropped);
}

std::vector<std::string> FoldersIn(const std::string& stores) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(stores, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && IsOurs(it->path().filename().string())) {
      paths.push_back(it->path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void DeleteFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) LOG(WARNING) << folder << " cannot be deleted: " << error.message();
}

void DeleteLeftovers(const std::string& stores, const char* suffix, const std::string& but = "") {
  for (const std::string& folder : FoldersIn(stores)) {
    if (absl::EndsWith(folder, suffix) && folder != but) DeleteFolder(folder);
  }
}

bool IsOpen(const std::string& path) {
  for (const OpenRocksdbDatabase& database : OpenRocksdbDatabases()) {
    if (database.path == path) return true;
  }
  return false;
}

std::shared_ptr<const FetchedStore> Hold(Fetched* fetched, const std::string& path)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(fetched->mutex) {
  std::weak_ptr<const FetchedStore>& known = fetched->by_path[path];
  std::shared_ptr<const FetchedStore> store = known.lock();
  if (store == nullptr) {
    store = std::make_shared<const FetchedStore>(FetchedStore{path});
    known = store;
  }
  return store;
}

// The store at `path`, where it is there. One that somebody took files from is fetched again, but
// for what it has.
std::shared_ptr<const FetchedStore> HoldIfWhole(const StoreManifest& manifest,
                                                const std::string& path) {
  Fetched& fetched = AllFetched();
  MutexLock lock(&fetched.mutex);
  if (!std::filesystem::exists(path)) return nullptr;
  const bool whole =
      std::all_of(manifest.files.begin(), manifest.files.end(), [&](const StoreFile& file) {
        return FileBytes(absl::StrCat(path, "/", file.name)) == file.bytes;
      });
  if (whole || IsOpen(path)) return Hold(&fetched, path);
  LOG(WARNING) << path << " lacks files of its store, which are fetched again";
  DeleteFolder(path + kPartial);
  if (const absl::Status status = RenameFile(path, path + kPartial); !status.ok())
    DeleteFolder(path);
  return nullptr;
}

absl::StatusOr<std::shared_ptr<const FetchedStore>> HoldWhenRenamed(const std::string& stores,
                                                                    const std::string& path) {
  Fetched& fetched = AllFetched();
  MutexLock lock(&fetched.mutex);
  absl::Status status = RenameFile(path + kPartial, path);
  if (status.ok()) status = SyncFolder(stores);
  if (!status.ok()) return status;
  return Hold(&fetched, path);
}

// Takes those off `missing` that other stores here have, whole or half: a file under its name was
// checked when it came, and nobody writes to one.
void LinkWhatIsHere(const std::string& stores, const std::string& target,
                    std::vector<StoreFile>* missing) {
  std::map<std::pair<std::string, int64_t>, std::string> known;
  for (const std::string& folder : FoldersIn(stores)) {
    if (folder == target || absl::EndsWith(folder, kDropped)) continue;
    const auto text = ReadSmallFile(absl::StrCat(folder, "/", kStoreManifestName));
    if (!text.ok()) continue;
    const auto manifest = ParseStoreManifest(*text, folder);
    if (!manifest.ok()) continue;
    for (const StoreFile& file : manifest->files) {
      const std::string path = absl::StrCat(folder, "/", file.name);
      if (FileBytes(path) == file.bytes) known[{file.sha256, file.bytes}] = path;
    }
  }
  const auto linked = [&](const StoreFile& file) {
    const auto same = known.find({file.sha256, file.bytes});
    return same != known.end() &&
           link(same->second.c_str(), absl::StrCat(target, "/", file.name).c_str()) == 0;
  };
  missing->erase(std::remove_if(missing->begin(), missing->end(), linked), missing->end());
}

absl::Status CheckSpace(const std::string& url, const std::vector<StoreFile>& missing,
                        const std::string& folder) {
  int64_t needed = 0;
  for (const StoreFile& file : missing) needed += BytesToFetch(file, folder);
  const absl::StatusOr<int64_t> free = FreeBytes(folder);
  if (!free.ok()) return free.status();
  if (needed <= *free) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(MaskCredentials(url), " needs ", needed, " bytes more in ", folder, ", and ",
                   *free, " are free there: make room, or name another `rocksdb.state_dir`"));
}

absl::Status FetchInto(const std::string& url, const StoreManifest& manifest,
                       const std::string& text, const std::string& stores,
                       const std::string& folder, const FetchOptions& options) {
  if (absl::Status status = MakeFolders(folder); !status.ok()) return status;
  std::vector<StoreFile> missing;
  for (const StoreFile& file : manifest.files) {
    const std::string path = absl::StrCat(folder, "/", file.name);
    const int64_t bytes = FileBytes(path);
    if (bytes == file.bytes) continue;
    if (bytes >= 0) unlink(path.c_str());
    missing.push_back(file);
  }
  const size_t were_there = manifest.files.size() - missing.size();
  LinkWhatIsHere(stores, folder, &missing);
  const size_t linked = manifest.files.size() - were_there - missing.size();
  // Not before: what was fetched of another generation may be this one's too.
  DeleteLeftovers(stores, kPartial, folder);
  if (absl::Status status = CheckSpace(url, missing, folder); !status.ok()) return status;
  absl::Status status = WriteDurably(absl::StrCat(folder, "/", kStoreManifestName), text);
  if (!status.ok()) return status;
  LOG(INFO) << MaskCredentials(url) << " goes to " << folder << ": " << manifest.files.size()
            << " files with " << manifest.bytes() << " bytes, of which " << were_there
            << " are there from before and " << linked << " another store has";
  status = FetchFiles(url, std::move(missing), folder, options);
  if (status.ok()) LOG(INFO) << MaskCredentials(url) << " is fetched";
  return status;
}

absl::StatusOr<std::string> ReadManifest(const std::string& url) {
  auto text = ReadRemoteFile(absl::StrCat(url, "/", kStoreManifestName), kMaxManifestBytes);
  if (!absl::IsNotFound(text.status())) return text;
  return absl::FailedPreconditionError(absl::StrCat(
      "the store ", MaskCredentials(url), " has no ", kStoreManifestName,
      ", without which it is not fetched: tf_hps.export to a URL writes it, and `tf-hps manifest "
      "--store DIR` into a folder that is copied there then"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const FetchedStore>> FetchStore(const std::string& deployment,
                                                               const std::string& url_given,
                                                               const std::string& state_dir,
                                                               const FetchOptions& options) {
  std::string url = url_given;
  while (!url.empty() && url.back() == '/') url.pop_back();
  if (state_dir.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store ", MaskCredentials(url),
        " is fetched before it is opened, which needs a `rocksdb.state_dir`: a folder of this "
        "server's own, with room for it (TF_HPS_ROCKSDB_STATE_DIR)"));
  }
  const std::string stores = StoresFolder(state_dir);
  absl::Status status = MakeFolders(stores);
  if (status.ok()) status = LockFolder(stores);
  if (status.ok()) status = ClaimFolder(stores, deployment);
  if (!status.ok()) return status;
  const absl::StatusOr<std::string> text = ReadManifest(url);
  if (!text.ok()) return text.status();
  const auto manifest =
      ParseStoreManifest(*text, absl::StrCat(MaskCredentials(url), "/", kStoreManifestName));
  if (!manifest.ok()) return manifest.status();

  Mutex* fetching = nullptr;
  {
    Fetched& fetched = AllFetched();
    MutexLock lock(&fetched.mutex);
    std::unique_ptr<Mutex>& of_folder = fetched.fetching[stores];
    if (of_folder == nullptr) of_folder = std::make_unique<Mutex>();
    fetching = of_folder.get();
  }
  MutexLock lock(fetching);
  DeleteLeftovers(stores, kDropped);
  const std::string path = absl::StrCat(stores, "/", manifest->Id());
  if (auto store = HoldIfWhole(*manifest, path); store != nullptr) return store;
  status = FetchInto(url, *manifest, *text, stores, path + kPartial, options);
  if (!status.ok()) return status;
  return HoldWhenRenamed(stores, path);
}

absl::Status DropFetchedStores(const std::string& state_dir, const std::string& keep) {
  const std::string stores = StoresFolder(state_dir);
  if (FoldersIn(stores).empty()) return absl::OkStatus();
  if (absl::Status status = LockFolder(stores); !status.ok()) return status;
  std::vector<std::string> dropped;
  absl::Status status;
  {
    Fetched& fetched = AllFetched();
    MutexLock lock(&fetched.mutex);
    for (const std::string& path : FoldersIn(stores)) {
      if (absl::EndsWith(path, kPartial) || absl::EndsWith(path, kDropped) || path == keep) {
        continue;
      }
      const auto held = fetched.by_path.find(path);
      if (held != fetched.by_path.end() && !held->second.expired()) continue;
      if (IsOpen(path)) continue;
      fetched.by_path.erase(path);
      // Under this name nobody opens it, and the next fetch deletes what is left of it.
      DeleteFolder(path + kDropped);
      status.Update(RenameFile(path, path + kDropped));
      dropped.push_back(path + kDropped);
    }
  }
  for (const std::string& path : dropped) {
    DeleteFolder(path);
    LOG(INFO) << "deleted " << path;
  }
  return status;
}

}  // namespace tf_hps
