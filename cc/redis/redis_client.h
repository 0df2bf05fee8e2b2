#ifndef TF_HPS_CC_REDIS_REDIS_CLIENT_H_
#define TF_HPS_CC_REDIS_REDIS_CLIENT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/counter.h"
#include "cc/common/mutex.h"
#include "cc/redis/redis_connection.h"
#include "cc/redis/redis_node.h"
#include "cc/redis/redis_options.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// The slot of a key in a cluster: CRC16 of what stands in its first {}, else of all of it.
int RedisSlot(absl::string_view key);

struct RedisRequest {
  int slot = 0;
  std::string command;                 // in Redis' protocol
  RedisReplyReader* reader = nullptr;  // gets the reply; perhaps a part of it twice, after a retry
  absl::Status status;                 // how it ended
  absl::string_view script;            // that an EVALSHA names; loaded where it is not known
};

// A server, or the servers of a cluster. Thread-safe.
class RedisClient : public std::enable_shared_from_this<RedisClient> {
 public:
  // One for equal options in a process: tables share connections and breakers. Connects to nobody.
  static std::shared_ptr<RedisClient> Get(const RedisOptions& options);
  explicit RedisClient(const RedisOptions& options);

  // Sends each request to the server of its slot, to all servers before the first reply is read;
  // follows MOVED and ASK, loads scripts that a server does not know, and tries again what failed,
  // until the deadline. Requests of one slot run in order where nothing is retried. True if all are
  // OK.
  bool Run(std::vector<RedisRequest>* requests, RedisDeadline deadline);

  // One command, to the server of `slot`; follows MOVED and ASK. An error reply is a status.
  absl::StatusOr<RedisReplyPtr> Call(int slot, const std::vector<absl::string_view>& words,
                                     RedisDeadline deadline);
  // One command, to the server of this number; NotFound: there are fewer.
  absl::StatusOr<RedisReplyPtr> CallServer(size_t server,
                                           const std::vector<absl::string_view>& words,
                                           RedisDeadline deadline);

  const RedisOptions& options() const { return *options_; }
  RedisDeadline NewDeadline() const { return std::chrono::steady_clock::now() + options_->timeout; }
  // Address, breaker and counts of each server, and counts of all.
  nlohmann::json Stats() const;

 private:
  struct Route;
  // Who has which slot. Without a cluster one server has all.
  struct Topology {
    std::vector<std::shared_ptr<RedisNode>> servers;
    std::vector<uint16_t> server_of_slot;
  };

  absl::StatusOr<std::shared_ptr<const Topology>> CurrentTopology(RedisDeadline deadline);
  // An error reply is a reply.
  absl::StatusOr<RedisReplyPtr> CallNode(RedisNode* node, bool asking,
                                         const std::vector<absl::string_view>& words,
                                         RedisDeadline deadline);
  absl::Status RefreshTopology(RedisDeadline deadline);
  void RefreshInBackground();
  void MoveSlot(int slot, const std::shared_ptr<RedisNode>& node);
  std::shared_ptr<RedisNode> NodeAt(const RedisAddress& address);
  absl::Status ApplySlots(const redisReply& reply, const RedisAddress& asked);
  void RunOn(RedisNode* node, std::vector<Route>* routes, std::vector<RedisRequest>* requests,
             RedisConnection* connection, RedisDeadline deadline, absl::Status* lost);
  void Redirect(const std::string& error, Route* route, RedisRequest* request, RedisNode* node,
                absl::string_view* script);
  // Where the words of a MOVED or ASK send us; null when they are none.
  std::shared_ptr<RedisNode> Redirected(const std::vector<absl::string_view>& words, int slot,
                                        const RedisNode& from);

  const std::shared_ptr<const RedisOptions> options_;
  Counter retries_, redirects_;
  mutable Mutex mutex_;
  std::map<RedisAddress, std::shared_ptr<RedisNode>> nodes_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Topology> topology_ ABSL_GUARDED_BY(mutex_);
  bool refreshing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_CLIENT_H_
