#ifndef TF_HPS_CC_REDIS_REDIS_CONNECTION_H_
#define TF_HPS_CC_REDIS_REDIS_CONNECTION_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/redis/redis_options.h"
#include "hiredis/hiredis.h"

namespace tf_hps {

using RedisDeadline = std::chrono::steady_clock::time_point;

struct FreeRedisContext {
  void operator()(redisContext* context) const;  // never raises SIGPIPE
};
struct FreeRedisReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisReplyPtr = std::unique_ptr<redisReply, FreeRedisReply>;

// Takes a reply as it is read, without a copy in between: an array of strings, element by element.
class RedisReplyReader {
 public:
  virtual ~RedisReplyReader() = default;
  // `bytes` is gone after the call; null data: nil.
  virtual void Element(size_t index, absl::string_view bytes) = 0;
};

// Appends a command in Redis' protocol.
void AppendRedisCommand(const std::vector<absl::string_view>& words, std::string* out);

// What an error reply says: Unavailable, ResourceExhausted (out of memory), or FailedPrecondition
// where the server refuses who we are.
absl::Status RedisErrorStatus(const RedisAddress& address, absl::string_view command,
                              absl::string_view error);

// One connection, logged in. Not thread-safe. Waits with poll until the deadline, never longer,
// however slowly the bytes come. After a failed call it is of no use.
//
// Unavailable: no connection, or lost. DeadlineExceeded: too slow. FailedPrecondition: the server
// refuses who we are.
class RedisConnection {
 public:
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Open(const RedisOptions& options,
                                                               const RedisAddress& address,
                                                               RedisDeadline deadline);

  // Sends what is in `commands`.
  absl::Status Send(absl::string_view commands, RedisDeadline deadline);
  // Reads the next reply. The text of an error reply goes to *error, which is empty otherwise.
  absl::Status Read(RedisReplyReader* reader, std::string* error, RedisDeadline deadline);
  // Reads the next reply as a tree, errors too.
  absl::StatusOr<RedisReplyPtr> Read(RedisDeadline deadline);
  // Sends one command and reads its reply as a tree, errors too.
  absl::StatusOr<RedisReplyPtr> Exchange(const std::vector<absl::string_view>& words,
                                         RedisDeadline deadline);
  // The same; an error reply is a status.
  absl::StatusOr<RedisReplyPtr> Call(const std::vector<absl::string_view>& words,
                                     RedisDeadline deadline);

  bool used() const { return used_; }
  void set_used() { used_ = true; }

 private:
  RedisConnection(const RedisAddress& address, redisContext* context)
      : address_(address),
        name_("Redis at " + address.ToString()),
        context_(context),
        buffer_(size_t{256} << 10) {}

  absl::Status StartTls(const RedisOptions& options, const RedisAddress& address);
  absl::Status LogIn(const RedisOptions& options, RedisDeadline deadline);
  absl::Status ReadObject(void** object, RedisDeadline deadline);
  absl::Status Wait(short events, RedisDeadline deadline);
  absl::Status ContextError() const;

  const RedisAddress address_;
  const std::string name_;
  const std::unique_ptr<redisContext, FreeRedisContext> context_;
  std::vector<char> buffer_;
  bool used_ = false;  // came back to its pool once: the server may have closed it meanwhile
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_CONNECTION_H_
