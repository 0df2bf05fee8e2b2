#ifndef TF_HPS_CC_STORAGE_REDIS_SCRIPT_H_
#define TF_HPS_CC_STORAGE_REDIS_SCRIPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/storage/redis_layout.h"

namespace tf_hps {

// All writes to a table's partitions go through this one script (docs/redis.md says why).
absl::string_view RedisWriteScript();

enum class RedisVerdict {
  kWritten,
  kRefused,      // a promotion of another state than the partition's
  kAlreadyThere  // somebody else wrote this update, or a later one
};

// One call for one partition.
struct RedisWrite {
  std::string partition_key;
  // Promotion: both are the state that the rows are of. Update: the states before and after it.
  RedisState before, after;
  bool is_promotion = false;
  // Whether a promotion takes over a partition of another lineage.
  bool takes_over = false;
  // Whether this is the update's last part: then the partition is at `after`.
  bool is_last = true;
  int64_t ttl_s = 0;  // 0: rows stay
  std::vector<Key> keys;
  std::vector<absl::string_view> rows;
  std::vector<Key> erased;
};

// EVALSHA in Redis' protocol. Its reply: [epoch, "written" | "refused" | "there"].
std::string RedisWriteCommand(const RedisWrite& write);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_SCRIPT_H_
