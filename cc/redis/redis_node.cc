#include "cc/redis/redis_node.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/redis/redis_background.h"

namespace tf_hps {
namespace {

RedisDeadline Now() { return std::chrono::steady_clock::now(); }

}  // namespace

RedisNode::RedisNode(std::shared_ptr<const RedisOptions> options, RedisAddress address)
    : options_(std::move(options)),
      address_(std::move(address)),
      breaker_(options_->breaker_failures, options_->breaker_open) {}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisNode::Take(RedisDeadline deadline) {
  if (!breaker_.LetsThrough()) {
    if (breaker_.StartProbe(Now())) ProbeInBackground();
    return absl::UnavailableError(
        absl::StrCat("Redis at ", address_.ToString(), " is left alone for a while: it failed"));
  }
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<RedisConnection> connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  auto connection = RedisConnection::Open(*options_, address_, deadline);
  if (!connection.ok()) breaker_.Failed(Now());
  return connection;
}

void RedisNode::GiveBack(std::unique_ptr<RedisConnection> connection) {
  breaker_.Succeeded();
  connection->set_used();
  MutexLock lock(&mutex_);
  if (idle_.size() < static_cast<size_t>(options_->pool_size)) {
    idle_.push_back(std::move(connection));
  }
}

void RedisNode::Failed(std::unique_ptr<RedisConnection> connection, const absl::Status& status) {
  // A connection that lay idle may have been closed by a restart long ago: that says nothing yet,
  // except that its neighbours are closed too.
  if (connection->used() && absl::IsUnavailable(status)) {
    std::vector<std::unique_ptr<RedisConnection>> closed;
    MutexLock lock(&mutex_);
    closed.swap(idle_);
    return;
  }
  breaker_.Failed(Now());
}

void RedisNode::ProbeInBackground() {
  RedisBackground().Schedule([self = shared_from_this()] {
    const RedisDeadline deadline = Now() + self->options_->connect_timeout;
    auto connection = RedisConnection::Open(*self->options_, self->address_, deadline);
    if (!connection.ok()) {
      self->breaker_.Failed(Now());
      return;
    }
    std::vector<std::unique_ptr<RedisConnection>> closed;
    {
      MutexLock lock(&self->mutex_);
      closed.swap(self->idle_);  // of the time before
    }
    self->GiveBack(*std::move(connection));
  });
}

}  // namespace tf_hps
