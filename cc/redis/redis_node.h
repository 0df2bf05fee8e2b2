#ifndef TF_HPS_CC_REDIS_REDIS_NODE_H_
#define TF_HPS_CC_REDIS_REDIS_NODE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/mutex.h"
#include "cc/redis/redis_breaker.h"
#include "cc/redis/redis_connection.h"
#include "cc/redis/redis_options.h"

namespace tf_hps {

// One server: its idle connections and its breaker. Thread-safe; owned by shared pointers, because
// a probe may outlast everybody else.
class RedisNode : public std::enable_shared_from_this<RedisNode> {
 public:
  RedisNode(std::shared_ptr<const RedisOptions> options, RedisAddress address);

  // An idle connection, or a new one. Unavailable at once while the breaker is open. What comes out
  // goes back by GiveBack, or is counted by Failed.
  absl::StatusOr<std::unique_ptr<RedisConnection>> Take(RedisDeadline deadline);
  void GiveBack(std::unique_ptr<RedisConnection> connection);
  void Failed(std::unique_ptr<RedisConnection> connection, const absl::Status& status);

  const RedisAddress& address() const { return address_; }
  const RedisBreaker& breaker() const { return breaker_; }

 private:
  void ProbeInBackground();

  const std::shared_ptr<const RedisOptions> options_;
  const RedisAddress address_;
  RedisBreaker breaker_;
  Mutex mutex_;
  std::vector<std::unique_ptr<RedisConnection>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_NODE_H_
