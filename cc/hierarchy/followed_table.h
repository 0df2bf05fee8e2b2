#ifndef TF_HPS_CC_HIERARCHY_FOLLOWED_TABLE_H_
#define TF_HPS_CC_HIERARCHY_FOLLOWED_TABLE_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/update_follower.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// As long as one lives, its table follows the stream of its deployment. Thread-safe.
class FollowedTable {
 public:
  // Null for a table that follows none. All tables of a deployment that are open in a process
  // follow one stream, with one follower: to ask for another one is InvalidArgument.
  static absl::StatusOr<std::unique_ptr<FollowedTable>> Follow(
      const DeploymentConfig& deployment, const TableConfig& config,
      std::shared_ptr<EmbeddingTable> table);
  ~FollowedTable();

  // See UpdateFollower.
  absl::Status WaitUntil(const std::string& position, std::chrono::milliseconds timeout) const;
  nlohmann::json Stats() const;
  nlohmann::json Place() const;

 private:
  FollowedTable(std::shared_ptr<UpdateFollower> follower, std::shared_ptr<EmbeddingTable> table)
      : follower_(std::move(follower)), table_(std::move(table)) {}

  const std::shared_ptr<UpdateFollower> follower_;
  const std::shared_ptr<EmbeddingTable> table_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_FOLLOWED_TABLE_H_
