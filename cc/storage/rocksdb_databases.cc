#include "cc/storage/rocksdb_databases.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cc/common/mutex.h"
#include "cc/storage/rocksdb_retry.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {
namespace {

struct Entry {
  uint64_t serial = 0;
  std::weak_ptr<RocksdbDatabase> database;  // expired while it is being opened or closed
};

struct Databases {
  Mutex mutex;
  CondVar changed;
  uint64_t last_serial ABSL_GUARDED_BY(mutex) = 0;
  std::map<std::string, Entry> by_path ABSL_GUARDED_BY(mutex);
  size_t being_closed ABSL_GUARDED_BY(mutex) = 0;
  bool is_exiting ABSL_GUARDED_BY(mutex) = false;
  std::vector<const RocksdbDatabase*> never_closed ABSL_GUARDED_BY(mutex);
};

// Never destroyed: a database may outlive main().
Databases& Get() {
  static auto* const databases = new Databases;
  return *databases;
}

std::string Canonical(const std::string& path) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, error);
  std::string result = error ? path : canonical.string();
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

constexpr std::chrono::seconds kLongestExit(10);

// At exit RocksDB's own static objects go. A database that another thread closes after that ends
// the process with an abort ("pthread lock: Invalid argument"): those that are being closed are
// waited for, what is let go of later stays as in a process that is killed.
void StopClosing() {
  using Clock = std::chrono::steady_clock;
  Databases& databases = Get();
  MutexLock lock(&databases.mutex);
  databases.is_exiting = true;
  const Clock::time_point end = Clock::now() + kLongestExit;
  while (databases.being_closed > 0 && Clock::now() < end) {
    databases.changed.WaitFor(&databases.mutex, std::chrono::milliseconds(100));
  }
}

// Once RocksDB has made its static objects: so this comes before they go.
void StopClosingAtExit() {
  static std::once_flag once;
  std::call_once(once, [] {
    static const pid_t here = getpid();
    // A forked process has none of the threads that it would wait for.
    std::atexit([] {
      if (getpid() == here) StopClosing();
    });
  });
}

// Closes outside the lock, which may take a while, and only then lets the next one open the path.
void Close(const RocksdbDatabase* database, uint64_t serial) {
  const std::string path = database->path();
  Databases& databases = Get();
  {
    MutexLock lock(&databases.mutex);
    if (databases.is_exiting) {
      databases.never_closed.push_back(database);
      return;
    }
    ++databases.being_closed;
  }
  delete database;
  MutexLock lock(&databases.mutex);
  --databases.being_closed;
  const auto it = databases.by_path.find(path);
  if (it != databases.by_path.end() && it->second.serial == serial) databases.by_path.erase(it);
  databases.changed.NotifyAll();
}

absl::StatusOr<std::shared_ptr<RocksdbDatabase>> Share(std::shared_ptr<RocksdbDatabase> database,
                                                       const RocksdbOptions& options) {
  if (database->read_only() && !options.read_only) {
    return absl::FailedPreconditionError(
        absl::StrCat(RocksdbStoreName(database->path()),
                     " is open read-only in this process. Close the tables that use it before "
                     "opening it for writing, or open all of them without `read_only`."));
  }
  return database;
}

}  // namespace

absl::StatusOr<std::shared_ptr<RocksdbDatabase>> OpenRocksdb(const std::string& path,
                                                             const RocksdbOptions& options) {
  const std::string canonical = Canonical(path);
  Databases& databases = Get();
  // Outlives the locks below: whoever lets go of it last closes it, and takes the lock for that.
  std::shared_ptr<RocksdbDatabase> database;
  uint64_t serial = 0;
  {
    MutexLock lock(&databases.mutex);
    while (true) {
      const auto it = databases.by_path.find(canonical);
      if (it == databases.by_path.end()) break;
      database = it->second.database.lock();
      if (database != nullptr) break;
      databases.changed.Wait(&databases.mutex);
    }
    if (database == nullptr) {
      serial = ++databases.last_serial;
      databases.by_path[canonical].serial = serial;
    }
  }
  if (database != nullptr) return Share(std::move(database), options);
  absl::StatusOr<std::unique_ptr<RocksdbDatabase>> opened =
      RocksdbDatabase::Open(canonical, options);
  StopClosingAtExit();

  MutexLock lock(&databases.mutex);
  databases.changed.NotifyAll();
  if (!opened.ok()) {
    databases.by_path.erase(canonical);
    return opened.status();
  }
  database.reset(opened->release(),
                 [serial](const RocksdbDatabase* closing) { Close(closing, serial); });
  databases.by_path[canonical].database = database;
  return database;
}

absl::StatusOr<std::shared_ptr<RocksdbDatabase>> ReopenRocksdb(
    std::shared_ptr<RocksdbDatabase> stale, const RocksdbOptions& options) {
  Databases& databases = Get();
  std::shared_ptr<RocksdbDatabase> present;  // as above
  {
    MutexLock lock(&databases.mutex);
    const auto it = databases.by_path.find(stale->path());
    if (it != databases.by_path.end()) {
      present = it->second.database.lock();
      if (present == stale) databases.by_path.erase(it);
    }
  }
  return OpenRocksdb(stale->path(), options);
}

absl::StatusOr<std::vector<RocksdbTableRecord>> ReadRocksdbTables(const std::string& path) {
  const absl::StatusOr<std::shared_ptr<RocksdbDatabase>> open = FindOpenRocksdb(path);
  if (open.ok() && !(*open)->read_only()) return (*open)->Tables();

  const std::string canonical = Canonical(path);
  const absl::StatusOr<RocksdbPathState> state = InspectRocksdbPath(canonical);
  if (!state.ok()) return state.status();
  if (*state == RocksdbPathState::kMissing) {
    return absl::NotFoundError(absl::StrCat(RocksdbStoreName(canonical), " does not exist."));
  }
  if (*state == RocksdbPathState::kEmpty) return std::vector<RocksdbTableRecord>{};
  absl::StatusOr<RocksdbContents> contents =
      RetryRocksdbOpen(canonical, [&] { return LookIntoRocksdb(canonical); });
  if (!contents.ok()) return contents.status();
  return std::move(contents->tables);
}

std::vector<OpenRocksdbDatabase> OpenRocksdbDatabases() {
  Databases& databases = Get();
  std::vector<std::shared_ptr<RocksdbDatabase>> held;  // let go after the lock: the last one closes
  {
    MutexLock lock(&databases.mutex);
    for (const auto& [path, entry] : databases.by_path) {
      if (auto database = entry.database.lock()) held.push_back(std::move(database));
    }
  }
  std::vector<OpenRocksdbDatabase> result;
  for (const auto& database : held) result.push_back({database->path(), database->read_only()});
  return result;
}

absl::StatusOr<std::shared_ptr<RocksdbDatabase>> FindOpenRocksdb(const std::string& path) {
  const std::string canonical = Canonical(path);
  {
    Databases& databases = Get();
    MutexLock lock(&databases.mutex);
    const auto it = databases.by_path.find(canonical);
    if (it != databases.by_path.end()) {
      if (auto database = it->second.database.lock()) return database;
    }
  }
  std::vector<OpenRocksdbDatabase> open = OpenRocksdbDatabases();
  return absl::NotFoundError(absl::StrCat(
      RocksdbStoreName(canonical), " is not open in this process. Open are: [",
      absl::StrJoin(open, ", ", [](std::string* out, const auto& one) { *out += one.path; }), "]"));
}

}  // namespace tf_hps
