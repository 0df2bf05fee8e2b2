#include "cc/redis/redis_connection.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cc/redis/redis_tls.h"
#include "cc/redis/sigpipe_block.h"

namespace tf_hps {
namespace {

using std::chrono::milliseconds;

milliseconds Left(RedisDeadline deadline) {
  return std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
}

timeval ToTimeval(milliseconds time) {
  const int64_t ms = std::max<int64_t>(1, time.count());
  return {ms / 1000, (ms % 1000) * 1000};
}

// What hiredis' parser calls when replies go to a RedisReplyReader. It wants something that is not
// null for each object.
struct Visit {
  RedisReplyReader* reader;
  std::string* error;
};
char a_reply;

Visit* VisitOf(const redisReadTask* task) { return static_cast<Visit*>(task->privdata); }

void* OnString(const redisReadTask* task, char* bytes, size_t size) {
  Visit* const visit = VisitOf(task);
  if (task->type == REDIS_REPLY_ERROR) {
    visit->error->assign(bytes, size);
  } else if (task->parent != nullptr) {
    visit->reader->Element(task->idx, {bytes, size});
  } else {
    visit->reader->Element(0, {bytes, size});
  }
  return &a_reply;
}
void* OnArray(const redisReadTask*, size_t) { return &a_reply; }
void* OnInteger(const redisReadTask*, long long) { return &a_reply; }
void* OnDouble(const redisReadTask*, double, char*, size_t) { return &a_reply; }
void* OnBool(const redisReadTask*, int) { return &a_reply; }
void* OnNil(const redisReadTask* task) {
  VisitOf(task)->reader->Element(std::max(task->idx, 0), {});
  return &a_reply;
}
void OnFree(void*) {}

redisReplyObjectFunctions visiting = {&OnString, &OnArray, &OnInteger, &OnDouble,
                                      &OnNil,    &OnBool,  &OnFree};

bool RefusesUs(absl::string_view error) {
  for (const char* word : {"WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH", "ERR invalid password",
                           "ERR DB index", "ERR Client sent AUTH"}) {
    if (absl::StartsWith(error, word)) return true;
  }
  return false;
}

}  // namespace

void FreeRedisContext::operator()(redisContext* context) const {
  const SigpipeBlock block;  // TLS says goodbye
  redisFree(context);
}

void AppendRedisCommand(const std::vector<absl::string_view>& words, std::string* out) {
  absl::StrAppend(out, "*", words.size(), "\r\n");
  for (const absl::string_view word : words) {
    absl::StrAppend(out, "$", word.size(), "\r\n", word, "\r\n");
  }
}

absl::Status RedisErrorStatus(const RedisAddress& address, absl::string_view command,
                              absl::string_view error) {
  const std::string message =
      absl::StrCat("Redis at ", address.ToString(), " refuses ", command, ": ", error);
  if (RefusesUs(error)) return absl::FailedPreconditionError(message);
  return absl::StartsWith(error, "OOM ") ? absl::ResourceExhaustedError(message)
                                         : absl::UnavailableError(message);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Open(const RedisOptions& options,
                                                                       const RedisAddress& address,
                                                                       RedisDeadline deadline) {
  const SigpipeBlock block;
  const std::string name = absl::StrCat("Redis at ", address.ToString());
  const milliseconds time = std::min(options.connect_timeout, Left(deadline));
  if (time.count() <= 0) return absl::DeadlineExceededError(absl::StrCat(name, ": no time left"));
  const timeval timeout = ToTimeval(time);
  redisOptions hiredis = {};
  REDIS_OPTIONS_SET_TCP(&hiredis, address.host.c_str(), address.port);
  hiredis.connect_timeout = &timeout;
  hiredis.command_timeout = &timeout;  // for the TLS handshake
  std::unique_ptr<RedisConnection> connection(
      new RedisConnection(address, redisConnectWithOptions(&hiredis)));
  redisContext* const context = connection->context_.get();
  if (context == nullptr) return absl::ResourceExhaustedError(absl::StrCat(name, ": no memory"));
  if (context->err != 0) return connection->ContextError();
  if (options.tls.on) {
    if (absl::Status status = connection->StartTls(options, address); !status.ok()) return status;
  }
  // From here on poll() waits, with a deadline for all the bytes together.
  fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) | O_NONBLOCK);
  context->flags &= ~REDIS_BLOCK;
  redisEnableKeepAlive(context);
  context->reader->maxbuf = 0;  // keeps its buffer from batch to batch
  const RedisDeadline soon = std::chrono::steady_clock::now() + options.connect_timeout;
  if (absl::Status status = connection->LogIn(options, std::min(soon, deadline)); !status.ok()) {
    return status;
  }
  return connection;
}

absl::Status RedisConnection::StartTls(const RedisOptions& options, const RedisAddress& address) {
  return StartRedisTls(options.tls, address.host, name_, context_.get());
}

absl::Status RedisConnection::LogIn(const RedisOptions& options, RedisDeadline deadline) {
  std::vector<std::vector<absl::string_view>> commands;
  if (!options.username.empty()) {
    commands.push_back({"AUTH", options.username, options.password});
  } else if (!options.password.empty()) {
    commands.push_back({"AUTH", options.password});
  }
  const std::string database = absl::StrCat(options.database);
  if (options.database != 0) commands.push_back({"SELECT", database});
  commands.push_back({"PING"});
  for (const auto& command : commands) {
    const absl::StatusOr<RedisReplyPtr> reply = Call(command, deadline);
    if (!reply.ok()) return reply.status();
  }
  return absl::OkStatus();
}

absl::Status RedisConnection::ContextError() const {
  const redisContext& context = *context_;
  const bool slow = context.err == REDIS_ERR_TIMEOUT ||
                    (context.err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT));
  const std::string message = absl::StrCat(name_, ": ", context.errstr);
  return slow ? absl::DeadlineExceededError(message) : absl::UnavailableError(message);
}

absl::Status RedisConnection::Wait(short events, RedisDeadline deadline) {
  while (true) {
    const milliseconds left = Left(deadline);
    if (left.count() <= 0) break;
    pollfd waited = {context_->fd, events, 0};
    const int ready = poll(&waited, 1, static_cast<int>(std::min<int64_t>(left.count(), 60000)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) {
      return absl::UnavailableError(absl::StrCat(name_, ": poll failed"));
    }
  }
  return absl::DeadlineExceededError(absl::StrCat(name_, " did not answer in time"));
}

absl::Status RedisConnection::Send(absl::string_view commands, RedisDeadline deadline) {
  const SigpipeBlock block;
  if (redisAppendFormattedCommand(context_.get(), commands.data(), commands.size()) != REDIS_OK) {
    return ContextError();
  }
  while (true) {
    int done = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return ContextError();
    if (done != 0) return absl::OkStatus();
    if (absl::Status status = Wait(POLLOUT, deadline); !status.ok()) return status;
  }
}

absl::Status RedisConnection::ReadObject(void** object, RedisDeadline deadline) {
  redisContext* const context = context_.get();
  while (true) {
    *object = nullptr;
    if (redisReaderGetReply(context->reader, object) != REDIS_OK) {
      return absl::UnavailableError(absl::StrCat(name_, ": ", context->reader->errstr));
    }
    if (*object != nullptr) return absl::OkStatus();
    ssize_t bytes = 0;
    {
      const SigpipeBlock block;  // TLS may write to read
      bytes = context->funcs->read(context, buffer_.data(), buffer_.size());
    }
    if (bytes < 0) return ContextError();
    if (bytes > 0) {
      redisReaderFeed(context->reader, buffer_.data(), bytes);
    } else if (absl::Status status = Wait(POLLIN, deadline); !status.ok()) {
      return status;
    }
  }
}

absl::Status RedisConnection::Read(RedisReplyReader* reader, std::string* error,
                                   RedisDeadline deadline) {
  error->clear();
  Visit visit{reader, error};
  redisReplyObjectFunctions* const trees = context_->reader->fn;
  context_->reader->fn = &visiting;
  context_->reader->privdata = &visit;
  void* object = nullptr;
  const absl::Status status = ReadObject(&object, deadline);
  // A reply that broke off holds our object, which the parser must not free as a tree.
  if (!status.ok()) context_->reader->reply = nullptr;
  context_->reader->fn = trees;
  context_->reader->privdata = nullptr;
  return status;
}

absl::StatusOr<RedisReplyPtr> RedisConnection::Read(RedisDeadline deadline) {
  void* object = nullptr;
  if (absl::Status status = ReadObject(&object, deadline); !status.ok()) return status;
  return RedisReplyPtr(static_cast<redisReply*>(object));
}

absl::StatusOr<RedisReplyPtr> RedisConnection::Exchange(const std::vector<absl::string_view>& words,
                                                        RedisDeadline deadline) {
  std::string command;
  AppendRedisCommand(words, &command);
  if (absl::Status status = Send(command, deadline); !status.ok()) return status;
  return Read(deadline);
}

absl::StatusOr<RedisReplyPtr> RedisConnection::Call(const std::vector<absl::string_view>& words,
                                                    RedisDeadline deadline) {
  absl::StatusOr<RedisReplyPtr> reply = Exchange(words, deadline);
  if (!reply.ok() || (*reply)->type != REDIS_REPLY_ERROR) return reply;
  return RedisErrorStatus(address_, words[0], {(*reply)->str, (*reply)->len});
}

}  // namespace tf_hps
