#ifndef TF_HPS_TESTS_CC_STORAGE_REDIS_SERVERS_H_
#define TF_HPS_TESTS_CC_STORAGE_REDIS_SERVERS_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/redis/redis_connection.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {

inline RedisDeadline In(int milliseconds) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
}

// A port that nobody listens on at the moment, below those that outgoing connections get: a server
// that is started again must find its port free.
inline int FreePort() {
  static int next = 0;
  for (int tries = 0; tries < 20000; ++tries) {
    // A cluster's bus is 10000 above.
    const int port = 10100 + (getpid() * 37 + next++ * 7) % 10000;
    bool is_free = true;
    for (const int one : {port, port + 10000}) {
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<uint16_t>(one));
      is_free = is_free && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
      close(fd);
    }
    if (is_free) return port;
  }
  return 0;
}

// A real redis-server on a free port of the loopback, without persistence; it goes with the test.
class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> arguments = {})
      : port_(FreePort()), arguments_(std::move(arguments)) {
    Start();
  }
  ~RedisServer() { Kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Start() {
    std::vector<std::string> words = {
        "redis-server", "--port",    absl::StrCat(port_), "--bind",    "127.0.0.1", "--save", "",
        "--dir",        dir_.path(), "--logfile",         dir_ / "log"};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const char* const libraries = getenv("TF_HPS_TEST_LIBRARIES");
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (libraries != nullptr) setenv("LD_LIBRARY_PATH", libraries, 1);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    for (int tries = 0; tries < 500; ++tries) {
      if (Connect().ok()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "redis-server does not start: is the package redis-server installed?";
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void Pause() { kill(pid_, SIGSTOP); }
  void Resume() { kill(pid_, SIGCONT); }

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect() const {
    RedisOptions options;
    options.connect_timeout = std::chrono::seconds(5);
    return RedisConnection::Open(options, {"127.0.0.1", port_}, In(5000));
  }
  // The reply as text: arrays with spaces between.
  std::string Do(const std::vector<absl::string_view>& words) const {
    const auto connection = Connect();
    if (!connection.ok()) return connection.status().ToString();
    const auto reply = (*connection)->Call(words, In(5000));
    return reply.ok() ? Text(**reply) : reply.status().ToString();
  }
  static std::string Text(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return absl::StrCat(reply.integer);
    if (reply.type != REDIS_REPLY_ARRAY) return {reply.str, reply.len};
    std::string text;
    for (size_t i = 0; i < reply.elements; ++i) {
      absl::StrAppend(&text, i == 0 ? "" : " ", Text(*reply.element[i]));
    }
    return text;
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  // The section `redis`. Time enough for sanitizers, and for a machine that stands still a while.
  nlohmann::json Options() const {
    return {{"url", absl::StrCat("redis://", address())},
            {"timeout_ms", 3000},
            {"connect_timeout_ms", 3000}};
  }

 private:
  const int port_;
  const std::vector<std::string> arguments_;
  TempDir dir_;
  pid_t pid_ = -1;
};

// Three masters that share the slots.
class RedisCluster {
 public:
  explicit RedisCluster(int nodes = 3) {
    for (int i = 0; i < nodes; ++i) AddNode();
    for (int i = 0; i < nodes; ++i) {
      const std::string first = absl::StrCat(16384 * i / nodes);
      const std::string last = absl::StrCat(16384 * (i + 1) / nodes - 1);
      EXPECT_EQ(nodes_[i]->Do({"CLUSTER", "ADDSLOTSRANGE", first, last}), "OK");
      EXPECT_EQ(nodes_[i]->Do({"CLUSTER", "SET-CONFIG-EPOCH", absl::StrCat(i + 1)}), "OK");
    }
    for (int i = 1; i < nodes; ++i) Meet(i);
    for (int i = 0; i < nodes; ++i) WaitUntilOk(i);
  }

  // One without slots that knows nobody.
  int AddNode() {
    nodes_.push_back(std::make_unique<RedisServer>(std::vector<std::string>{
        "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
        "--cluster-require-full-coverage", "no", "--cluster-allow-reads-when-down", "yes",
        "--cluster-allow-replica-migration", "no"}));
    return static_cast<int>(nodes_.size()) - 1;
  }
  void Meet(int i) {
    nodes_[0]->Do({"CLUSTER", "MEET", "127.0.0.1", absl::StrCat(nodes_[i]->port())});
  }
  void WaitUntilOk(int i) {
    const std::string wanted = absl::StrCat("cluster_known_nodes:", nodes_.size());
    std::string info;
    for (int tries = 0; tries < 1000; ++tries) {
      info = nodes_[i]->Do({"CLUSTER", "INFO"});
      if (info.find("cluster_state:ok") != std::string::npos &&
          info.find(wanted) != std::string::npos &&
          info.find("cluster_slots_assigned:16384") != std::string::npos) {
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "the cluster does not come up: " << info;
  }

  // Each of some nodes has shaken hands with the others, and has heard of the newest epoch.
  void WaitUntilAcquainted(const std::vector<int>& some) {
    std::vector<std::string> ids;
    for (const int i : some) ids.push_back(IdOf(i));
    const auto knows_all = [&](int i) {
      const std::string nodes = node(i).Do({"CLUSTER", "NODES"});
      return std::all_of(ids.begin(), ids.end(), [&](const std::string& id) {
        const size_t at = nodes.find(id);
        if (at == std::string::npos) return false;
        return nodes.substr(at, nodes.find('\n', at) - at).find("handshake") == std::string::npos;
      });
    };
    bool is_done = false;
    for (int tries = 0; tries < 1000 && !is_done; ++tries) {
      if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      const int epoch = EpochOf(some[0]);
      is_done = std::all_of(some.begin(), some.end(),
                            [&](int i) { return EpochOf(i) == epoch && knows_all(i); });
    }
    EXPECT_TRUE(is_done) << Description();
  }

  // Moves a slot from one of the first three nodes to the next, as redis-cli does; calls `halfway`
  // in the middle of it and at its end.
  void Migrate(int number, const std::function<void()>& halfway) {
    const int source = number * 3 / 16384, target = (source + 1) % 3;
    const std::string slot = absl::StrCat(number);
    const std::string from = IdOf(source), to = IdOf(target);
    EXPECT_EQ(node(target).Do({"CLUSTER", "SETSLOT", slot, "IMPORTING", from}), "OK");
    EXPECT_EQ(node(source).Do({"CLUSTER", "SETSLOT", slot, "MIGRATING", to}), "OK");
    const auto connection = node(source).Connect();
    const auto keys = (*connection)->Call({"CLUSTER", "GETKEYSINSLOT", slot, "100000"}, In(5000));
    const std::string port = absl::StrCat(node(target).port());
    for (size_t i = 0; i < (*keys)->elements; ++i) {
      if (i == (*keys)->elements / 2) halfway();
      const absl::string_view key((*keys)->element[i]->str, (*keys)->element[i]->len);
      EXPECT_TRUE(
          (*connection)->Call({"MIGRATE", "127.0.0.1", port, key, "0", "5000"}, In(5000)).ok());
    }
    halfway();
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(node((target + i) % 3).Do({"CLUSTER", "SETSLOT", slot, "NODE", to}), "OK");
    }
  }

  // A new node takes the slots of one of three that was lost, empty, as after the loss of a master
  // without replicas.
  void Replace(int lost) {
    const int replacement = AddNode();
    std::vector<int> takers = {replacement};
    for (int i = 0; i < 3; ++i) {
      if (i == lost) continue;
      takers.push_back(i);
      node(i).Do({"CLUSTER", "MEET", "127.0.0.1", absl::StrCat(node(replacement).port())});
    }
    const std::string id = IdOf(replacement);
    WaitUntilAcquainted(takers);
    // Above the epoch of the lost one: otherwise the others, who believe that one, take the slots
    // away.
    const std::string bumped = node(replacement).Do({"CLUSTER", "BUMPEPOCH"});
    EXPECT_EQ(bumped.substr(0, 6), "BUMPED") << bumped;
    const int first = 16384 * lost / 3, end = 16384 * (lost + 1) / 3;
    for (const int taker : takers) {
      const auto connection = node(taker).Connect();
      std::string commands;
      for (int slot = first; slot < end; ++slot) {
        AppendRedisCommand({"CLUSTER", "SETSLOT", absl::StrCat(slot), "NODE", id}, &commands);
      }
      EXPECT_TRUE((*connection)->Send(commands, In(20000)).ok());
      for (int slot = first; slot < end; ++slot) {
        const auto reply = (*connection)->Read(In(20000));
        ASSERT_TRUE(reply.ok()) << reply.status();
        ASSERT_EQ(RedisServer::Text(**reply), "OK");
      }
    }
  }

  RedisServer& node(int i) { return *nodes_[i]; }
  // What each node knows.
  std::string Description() {
    std::string all;
    for (const auto& one : nodes_) absl::StrAppend(&all, one->Do({"CLUSTER", "NODES"}), "\n");
    return all;
  }
  int EpochOf(int i) {
    constexpr absl::string_view kName = "cluster_current_epoch:";
    const std::string info = node(i).Do({"CLUSTER", "INFO"});
    const size_t at = info.find(kName);
    return at == std::string::npos ? -1 : std::atoi(&info[at + kName.size()]);
  }
  std::string IdOf(int i) { return nodes_[i]->Do({"CLUSTER", "MYID"}); }
  nlohmann::json Options() const {
    std::string url;
    for (const auto& node : nodes_) {
      absl::StrAppend(&url, url.empty() ? "" : ",", "redis://", node->address());
    }
    return {{"url", url}, {"cluster", true}, {"timeout_ms", 3000}, {"connect_timeout_ms", 3000}};
  }

 private:
  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

// One for all tests of a program, emptied for each new `dir`.
inline RedisServer& SharedRedis(const std::string& dir) {
  static RedisServer server;
  static std::string last;
  if (last != dir) server.Do({"FLUSHALL"});
  last = dir;
  return server;
}

inline RedisCluster& SharedRedisCluster(const std::string& dir) {
  static RedisCluster cluster;
  static std::string last;
  if (last != dir) {
    for (int i = 0; i < 3; ++i) cluster.node(i).Do({"FLUSHALL"});
  }
  last = dir;
  return cluster;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_REDIS_SERVERS_H_
