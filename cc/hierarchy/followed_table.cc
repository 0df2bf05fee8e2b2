#include "cc/hierarchy/followed_table.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/config_names.h"
#include "cc/common/mutex.h"
#include "cc/common/option_value.h"
#include "cc/common/remote_files.h"
#include "cc/update/update_options.h"

namespace tf_hps {
namespace {

struct Followers {
  Mutex mutex;
  std::map<std::string, std::weak_ptr<UpdateFollower>> by_deployment ABSL_GUARDED_BY(mutex);
};

// Never destroyed: tables may outlive main().
Followers& Get() {
  static auto* const followers = new Followers;
  return *followers;
}

// What all tables of a deployment have to agree on.
nlohmann::json SharedPart(nlohmann::json section) {
  for (const char* own : {"start", "position", "position_timeout_s"}) section.erase(own);
  return section;
}

absl::StatusOr<std::shared_ptr<UpdateFollower>> FollowerOf(const DeploymentConfig& deployment,
                                                           const UpdateOptions& options) {
  Followers& followers = Get();
  std::shared_ptr<UpdateFollower> follower;  // outlives the lock: its end joins its thread
  MutexLock lock(&followers.mutex);
  std::weak_ptr<UpdateFollower>& known = followers.by_deployment[deployment.deployment];
  follower = known.lock();
  if (follower == nullptr) {
    auto opened = UpdateFollower::Open(deployment.deployment, options);
    if (!opened.ok()) return opened.status();
    follower = *std::move(opened);
    known = follower;
  } else if (const nlohmann::json there = SharedPart(follower->options().section),
             asked = SharedPart(options.section);
             there != asked) {
    return absl::InvalidArgumentError(
        absl::StrCat("deployment \"", deployment.deployment, "\" follows ", there.dump(),
                     " in this process; ", deployment.path, " asks for ", asked.dump()));
  }
  return follower;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FollowedTable>> FollowedTable::Follow(
    const DeploymentConfig& deployment, const TableConfig& config,
    std::shared_ptr<EmbeddingTable> table) {
  const auto section = config.sections.find("updates");
  if (section == config.sections.end()) return nullptr;
  UpdateOptions options = ParseUpdateOptions(section->second);
  if (!(config.bounds == table->bounds())) {
    const auto described = [](const GrowthBounds& bounds) {
      return absl::StrCat("max_rows ", bounds.max_rows, ", ttl_s ", bounds.ttl_s, " and when_full ",
                          bounds.rejects ? "reject" : "evict_oldest", " (0: no bound)");
    };
    return absl::InvalidArgumentError(
        absl::StrCat(table->spec().Described(), " of deployment \"", deployment.deployment,
                     "\" is open in this process with ", described(table->bounds()), "; ",
                     deployment.path, " asks for ", described(config.bounds)));
  }
  if (const auto store = config.sections.find("rocksdb"); store != config.sections.end()) {
    const std::string state_dir = OptionText(store->second, "state_dir");
    if (store->second.value("read_only", false) && state_dir.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "table \"", config.name, "\" of ", deployment.path,
          " follows `updates`, and `rocksdb.read_only` is true: rows that change need "
          "a `rocksdb.state_dir`, a folder of this server's own outside of the model"));
    }
    // An erase of nothing says whether rows may change: a delta may lie over them.
    if (absl::Status status = table->lowest_store().Erase({}); !status.ok()) return status;
    if (options.state_dir.empty()) {
      options.state_dir = !state_dir.empty()
                              ? state_dir
                              : absl::StrCat(store->second.value("path", ""), "-updates");
    }
  }
  if (IsRemotePath(options.state_dir)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "`updates.state_dir` is a folder of this machine: give its absolute path. Received: ",
        Quoted(options.state_dir)));
  }
  auto follower = FollowerOf(deployment, options);
  if (!follower.ok()) return follower.status();

  std::set<std::string> names;
  for (const auto& [name, known] : deployment.tables) names.insert(name);
  (*follower)->AddKnownTables(names);
  if (absl::Status status = (*follower)->Add(table, options.start); !status.ok()) return status;
  std::unique_ptr<FollowedTable> followed(
      new FollowedTable(*std::move(follower), std::move(table)));
  if (options.position.empty()) return followed;
  followed->follower_->SetExported(options.position);
  absl::Status status = followed->WaitUntil(options.position, options.position_timeout);
  if (status.ok()) return followed;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(),
                                   ". The model's weights go with those rows (`updates.position`), "
                                   "which did not come within `updates.position_timeout_s`, ",
                                   options.position_timeout.count() / 1000.0, " s"));
}

FollowedTable::~FollowedTable() { follower_->Remove(table_.get()); }

absl::Status FollowedTable::WaitUntil(const std::string& position,
                                      std::chrono::milliseconds timeout) const {
  return follower_->WaitUntil(table_.get(), position, timeout);
}

nlohmann::json FollowedTable::Stats() const { return follower_->Stats(table_.get()); }

nlohmann::json FollowedTable::Place() const { return follower_->Place(table_.get()); }

}  // namespace tf_hps
