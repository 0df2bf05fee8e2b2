#include "cc/redis/redis_client.h"

#include <algorithm>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tf_hps {
namespace {

// MOVED and ASK are followed this often: one for a slot that moved, one more for one that moves on.
constexpr int kMostRedirects = 5;

// For ASKING, which is answered by OK.
class Nobody : public RedisReplyReader {
 public:
  void Element(size_t, absl::string_view) override {}
};

}  // namespace

// A request on its way.
struct RedisClient::Route {
  size_t request;
  std::shared_ptr<RedisNode> node;  // null: whoever has the slot
  bool asking = false;
  int failures = 0;
  int redirects = 0;
  enum class Next { kDone, kNow, kLater } next = Next::kDone;
};

std::shared_ptr<RedisClient> RedisClient::Get(const RedisOptions& options) {
  static auto* const mutex = new Mutex;
  static auto* const clients = new std::map<std::string, std::weak_ptr<RedisClient>>;
  std::string identity;
  for (const RedisAddress& address : options.addresses) {
    absl::StrAppend(&identity, address.ToString(), ",");
  }
  const RedisTlsOptions& tls = options.tls;
  for (const std::string& text : {options.username, options.password, tls.ca_file,
                                  tls.certificate_file, tls.key_file, tls.server_name}) {
    absl::StrAppend(&identity, text.size(), ":", text, ",");
  }
  for (const int64_t number :
       {int64_t{options.cluster}, int64_t{options.database}, int64_t{tls.on},
        int64_t{options.connect_timeout.count()}, int64_t{options.timeout.count()},
        int64_t{options.retries}, int64_t{options.retry_backoff.count()},
        int64_t{options.pool_size}, int64_t{options.breaker_failures},
        int64_t{options.breaker_open.count()}}) {
    absl::StrAppend(&identity, number, ",");
  }
  MutexLock lock(mutex);
  std::weak_ptr<RedisClient>& known = (*clients)[identity];
  std::shared_ptr<RedisClient> client = known.lock();
  if (client == nullptr) known = client = std::make_shared<RedisClient>(options);
  return client;
}

RedisClient::RedisClient(const RedisOptions& options)
    : options_(std::make_shared<RedisOptions>(options)) {
  if (options.cluster) return;
  auto topology = std::make_shared<Topology>();
  MutexLock lock(&mutex_);
  auto& node = nodes_[options.addresses[0]];
  node = std::make_shared<RedisNode>(options_, options.addresses[0]);
  topology->servers.push_back(node);
  topology->server_of_slot.assign(16384, 0);
  topology_ = std::move(topology);
}

bool RedisClient::Run(std::vector<RedisRequest>* requests, RedisDeadline deadline) {
  std::vector<Route> routes(requests->size());
  for (size_t i = 0; i < routes.size(); ++i) routes[i].request = i;
  std::chrono::milliseconds backoff = options_->retry_backoff;
  while (!routes.empty()) {
    const auto topology = CurrentTopology(deadline);
    // By server, in the order of the requests.
    std::map<RedisNode*, std::vector<Route>> by_node;
    for (Route& route : routes) {
      if (route.node == nullptr) {
        if (!topology.ok()) {
          (*requests)[route.request].status = topology.status();
          continue;
        }
        const int slot = (*requests)[route.request].slot;
        route.node = (*topology)->servers[(*topology)->server_of_slot[slot]];
      }
      RedisNode* const node = route.node.get();
      by_node[node].push_back(std::move(route));
    }
    struct Sent {
      RedisNode* node;
      std::unique_ptr<RedisConnection> connection;
      absl::Status status;
    };
    std::vector<Sent> sent;
    for (auto& [node, part] : by_node) {
      auto connection = node->Take(deadline);
      if (!connection.ok()) {
        sent.push_back({node, nullptr, connection.status()});
        continue;
      }
      std::string commands;
      for (const Route& route : part) {
        if (route.asking) AppendRedisCommand({"ASKING"}, &commands);
        commands += (*requests)[route.request].command;
      }
      const absl::Status status = (*connection)->Send(commands, deadline);
      sent.push_back({node, *std::move(connection), status});
    }
    std::vector<Route> again;
    bool wait = false;
    for (Sent& one : sent) {
      std::vector<Route>& part = by_node[one.node];
      if (one.connection != nullptr && one.status.ok()) {
        RunOn(one.node, &part, requests, one.connection.get(), deadline, &one.status);
      } else {
        for (Route& route : part) route.next = Route::Next::kLater;
      }
      const bool was_used = one.connection != nullptr && one.connection->used();
      const bool lost = !one.status.ok();
      for (Route& route : part) {
        if (lost && route.next != Route::Next::kDone) {
          (*requests)[route.request].status = one.status;
          // An idle connection that was closed costs no attempt.
          if (!was_used || !absl::IsUnavailable(one.status)) ++route.failures;
          route.node = nullptr;
          route.asking = false;
        }
        const bool give_up = route.failures > options_->retries ||
                             route.redirects > kMostRedirects ||
                             (lost && one.connection == nullptr && !options_->cluster &&
                              !one.node->breaker().LetsThrough());
        if (route.next == Route::Next::kDone || give_up) continue;
        wait = wait || (route.next == Route::Next::kLater && !was_used);
        again.push_back(std::move(route));
      }
      if (one.connection != nullptr) {
        if (lost) {
          one.node->Failed(std::move(one.connection), one.status);
        } else {
          one.node->GiveBack(std::move(one.connection));
        }
      }
      if (lost && options_->cluster) RefreshInBackground();
    }
    routes = std::move(again);
    if (routes.empty() || std::chrono::steady_clock::now() >= deadline) break;
    retries_.Add(routes.size());
    if (wait && backoff.count() > 0) {
      std::this_thread::sleep_until(std::min(deadline, std::chrono::steady_clock::now() + backoff));
      backoff *= 2;
    }
  }
  return std::all_of(requests->begin(), requests->end(),
                     [](const RedisRequest& request) { return request.status.ok(); });
}

void RedisClient::RunOn(RedisNode* node, std::vector<Route>* routes,
                        std::vector<RedisRequest>* requests, RedisConnection* connection,
                        RedisDeadline deadline, absl::Status* lost) {
  Nobody nobody;
  absl::string_view script;
  for (Route& route : *routes) route.next = Route::Next::kLater;
  for (Route& route : *routes) {
    RedisRequest& request = (*requests)[route.request];
    std::string error;
    if (route.asking) *lost = connection->Read(&nobody, &error, deadline);
    if (lost->ok()) *lost = connection->Read(request.reader, &error, deadline);
    if (!lost->ok()) return;
    route.next = Route::Next::kDone;
    route.asking = false;
    request.status = absl::OkStatus();
    if (!error.empty()) Redirect(error, &route, &request, node, &script);
  }
  if (script.empty()) return;
  const auto loaded = connection->Call({"SCRIPT", "LOAD", script}, deadline);
  if (!loaded.ok()) *lost = loaded.status();
}

void RedisClient::Redirect(const std::string& error, Route* route, RedisRequest* request,
                           RedisNode* node, absl::string_view* script) {
  const std::vector<absl::string_view> words = absl::StrSplit(error, ' ');
  const std::string message =
      absl::StrCat("Redis at ", node->address().ToString(), " answers: ", error);
  request->status = absl::UnavailableError(message);
  route->node = nullptr;
  if (words[0] == "NOSCRIPT") {
    *script = request->script;
    route->next = Route::Next::kNow;
    ++route->redirects;
  } else if ((words[0] == "MOVED" || words[0] == "ASK") && words.size() >= 3) {
    route->node = Redirected(words, request->slot, *node);
    if (route->node == nullptr) return;
    route->asking = words[0] == "ASK";
    route->next = Route::Next::kNow;
    ++route->redirects;
  } else if (words[0] == "TRYAGAIN" || words[0] == "LOADING" || words[0] == "CLUSTERDOWN" ||
             words[0] == "MASTERDOWN" || words[0] == "READONLY" || words[0] == "BUSY") {
    route->next = Route::Next::kLater;
    ++route->failures;
    if (options_->cluster) RefreshInBackground();
  } else if (absl::StrContains(error, "OOM ")) {
    request->status = absl::ResourceExhaustedError(message);
  } else if (words[0] == "NOAUTH" || words[0] == "NOPERM" || words[0] == "WRONGTYPE") {
    request->status = absl::FailedPreconditionError(message);
  }
}

std::shared_ptr<RedisNode> RedisClient::Redirected(const std::vector<absl::string_view>& words,
                                                   int slot, const RedisNode& from) {
  RedisAddress address;
  const size_t colon = words.size() < 3 ? absl::string_view::npos : words[2].rfind(':');
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(words[2].substr(colon + 1), &address.port)) {
    return nullptr;
  }
  address.host = std::string(words[2].substr(0, colon));
  if (address.host.empty()) address.host = from.address().host;
  const std::shared_ptr<RedisNode> node = NodeAt(address);
  if (words[0] == "MOVED") {
    MoveSlot(slot, node);
    RefreshInBackground();
  }
  redirects_.Add(1);
  return node;
}

absl::StatusOr<RedisReplyPtr> RedisClient::Call(int slot,
                                                const std::vector<absl::string_view>& words,
                                                RedisDeadline deadline) {
  const auto topology = CurrentTopology(deadline);
  if (!topology.ok()) return topology.status();
  std::shared_ptr<RedisNode> node = (*topology)->servers[(*topology)->server_of_slot[slot]];
  bool asking = false;
  for (int redirects = 0;; ++redirects) {
    auto reply = CallNode(node.get(), asking, words, deadline);
    if (!reply.ok() || (*reply)->type != REDIS_REPLY_ERROR) return reply;
    const std::string error((*reply)->str, (*reply)->len);
    const std::vector<absl::string_view> told = absl::StrSplit(error, ' ');
    const bool moves = told[0] == "MOVED" || told[0] == "ASK";
    std::shared_ptr<RedisNode> next =
        moves && redirects < kMostRedirects ? Redirected(told, slot, *node) : nullptr;
    if (next == nullptr) return RedisErrorStatus(node->address(), words[0], error);
    asking = told[0] == "ASK";
    node = std::move(next);
  }
}

absl::StatusOr<RedisReplyPtr> RedisClient::CallServer(size_t server,
                                                      const std::vector<absl::string_view>& words,
                                                      RedisDeadline deadline) {
  const auto topology = CurrentTopology(deadline);
  if (!topology.ok()) return topology.status();
  if (server >= (*topology)->servers.size()) return absl::NotFoundError("no further server");
  const auto node = (*topology)->servers[server];
  auto reply = CallNode(node.get(), /*asking=*/false, words, deadline);
  if (!reply.ok() || (*reply)->type != REDIS_REPLY_ERROR) return reply;
  return RedisErrorStatus(node->address(), words[0], {(*reply)->str, (*reply)->len});
}

absl::StatusOr<RedisReplyPtr> RedisClient::CallNode(RedisNode* node, bool asking,
                                                    const std::vector<absl::string_view>& words,
                                                    RedisDeadline deadline) {
  absl::StatusOr<RedisReplyPtr> reply = absl::UnavailableError("");
  // Idle connections may have been closed by a restart: then a new one.
  for (bool again = true; again;) {
    auto connection = node->Take(deadline);
    if (!connection.ok()) return connection.status();
    const bool was_used = (*connection)->used();
    absl::Status asked;
    if (asking) asked = (*connection)->Call({"ASKING"}, deadline).status();
    reply = asked.ok() ? (*connection)->Exchange(words, deadline) : asked;
    again = was_used && absl::IsUnavailable(reply.status());
    if (reply.ok()) {
      node->GiveBack(*std::move(connection));
    } else {
      node->Failed(*std::move(connection), reply.status());
      if (options_->cluster) RefreshInBackground();
    }
  }
  return reply;
}

nlohmann::json RedisClient::Stats() const {
  const char* const names[] = {"closed", "open", "half-open"};
  nlohmann::json servers = nlohmann::json::array();
  MutexLock lock(&mutex_);
  for (const auto& [address, node] : nodes_) {
    servers.push_back({{"address", address.ToString()},
                       {"breaker", names[static_cast<int>(node->breaker().state())]},
                       {"breaker_opened", node->breaker().opened()}});
  }
  return {{"servers", std::move(servers)},
          {"retries", retries_.Get()},
          {"redirects", redirects_.Get()}};
}

}  // namespace tf_hps
