// EmbeddingStore::Find of the redis backend against a bare pipelined MGET through hiredis: the same
// keys of the same server, one MGET a partition, all sent before the first reply is read, rows
// copied out, replies freed. Prints tab-separated rows; a ratio above 1: Find is faster. Starts a
// redis-server of its own.
//   redis_store_find [rows] [rounds, default 15]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/cc/measure.h"
#include "cc/storage/redis_layout.h"
#include "cc/storage/store_backend.h"
#include "hiredis/hiredis.h"

namespace tf_hps {
namespace {

constexpr int64_t kDim = 64;
constexpr size_t kRowBytes = kDim * sizeof(float);
constexpr int kPartitions = 16;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Check(absl::UnavailableError("no port of 127.0.0.1 is free"));
  }
  close(fd);
  return ntohs(address.sin_port);
}

class Server {
 public:
  Server() : port_(FreePort()), pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const std::string port = absl::StrCat(port_);
      execlp("redis-server", "redis-server", "--port", port.c_str(), "--save", "", "--bind",
             "127.0.0.1", "--logfile", "/dev/null", nullptr);
      _exit(127);
    }
    for (int tries = 0; context_ == nullptr || context_->err != 0; ++tries) {
      if (tries == 500) Check(absl::UnavailableError("redis-server does not start"));
      if (context_ != nullptr) redisFree(context_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      context_ = redisConnect("127.0.0.1", port_);
    }
  }
  ~Server() {
    redisFree(context_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }
  redisContext* context() { return context_; }

 private:
  const int port_;
  const pid_t pid_;
  redisContext* context_ = nullptr;
};

TableSpec Spec() {
  TableSpec spec;
  spec.deployment = "bench";
  spec.name = "bench";
  spec.embedding_dim = kDim;
  return spec;
}

std::unique_ptr<EmbeddingStore> OpenStore(int port) {
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind != "redis") continue;
    auto store = backend.open(Spec(), {{"url", absl::StrCat("redis://127.0.0.1:", port)},
                                       {"timeout_ms", 10000},
                                       {"partitions", kPartitions}});
    Check(store.status());
    return *std::move(store);
  }
  std::exit(1);
}

// What somebody would write who knows hiredis; returns how many were found.
size_t Bare(redisContext* context, const std::vector<std::string>& prefixes,
            const std::vector<Key>& keys, uint8_t* out) {
  std::vector<std::vector<uint32_t>> positions(kPartitions);
  for (uint32_t i = 0; i < keys.size(); ++i) {
    positions[RedisPartition(keys[i], kPartitions)].push_back(i);
  }
  std::vector<std::string> names;
  std::vector<const char*> words;
  std::vector<size_t> sizes;
  for (int p = 0; p < kPartitions; ++p) {
    if (positions[p].empty()) continue;
    names.clear();
    words.assign(1, "MGET");
    sizes.assign(1, 4);
    for (const uint32_t i : positions[p]) {
      names.push_back(prefixes[p]);
      AppendRedisKeyBytes(keys[i], &names.back());
    }
    for (const std::string& name : names) {
      words.push_back(name.data());
      sizes.push_back(name.size());
    }
    redisAppendCommandArgv(context, static_cast<int>(words.size()), words.data(), sizes.data());
  }
  size_t found = 0;
  for (int p = 0; p < kPartitions; ++p) {
    if (positions[p].empty()) continue;
    void* object = nullptr;
    if (redisGetReply(context, &object) != REDIS_OK) std::exit(1);
    auto* const reply = static_cast<redisReply*>(object);
    for (size_t i = 0; i < reply->elements; ++i) {
      if (reply->element[i]->type != REDIS_REPLY_STRING) continue;
      std::memcpy(out + positions[p][i] * kRowBytes, reply->element[i]->str, kRowBytes);
      ++found;
    }
    freeReplyObject(reply);
  }
  return found;
}

size_t Ours(const EmbeddingStore& store, const std::vector<Key>& keys, uint8_t* out) {
  RowSink sink;
  sink.destination = out;
  sink.stride = sink.out_bytes = kRowBytes;
  Pending pending = Pending::All(keys.size());
  Check(store.Find(keys, sink, &pending));
  return keys.size() - pending.size();
}

void Run(int64_t rows, int rounds) {
  Server server;
  const auto store = OpenStore(server.port());
  std::mt19937_64 random(1);
  std::vector<float> block(8192 * kDim);
  for (int64_t begin = 0; begin < rows; begin += 8192) {
    std::vector<Key> keys;
    for (int64_t key = begin; key < std::min(rows, begin + 8192); ++key) keys.push_back(key);
    for (float& element : block) element = static_cast<float>(random() % 1000);
    Check(store->Insert(keys, {reinterpret_cast<const uint8_t*>(block.data()), kRowBytes}, {}));
  }
  std::vector<std::string> prefixes;
  for (int p = 0; p < kPartitions; ++p) {
    const std::string key = RedisPartitionKey(RedisTableId(Spec()), p);
    auto* const reply =
        static_cast<redisReply*>(redisCommand(server.context(), "GET %b", key.data(), key.size()));
    prefixes.push_back(absl::StrCat(key, ParseRedisHead(reply->str)->epoch, ":"));
    freeReplyObject(reply);
  }
  std::printf("batch\tpeer\tratio\tlowest\thighest\ta_a\tfind_keys_per_s\tbare_keys_per_s\n");
  for (const size_t batch : {32, 1024, 4096, 16384}) {
    const int repeats = static_cast<int>(std::max<size_t>(1, 16384 / batch));
    std::vector<uint8_t> out(batch * kRowBytes);
    std::vector<double> seconds[3], ratios, noise;
    for (int round = 0; round < rounds; ++round) {
      std::vector<std::vector<Key>> batches(repeats, std::vector<Key>(batch));
      for (auto& keys : batches) {
        for (Key& key : keys) key = static_cast<Key>(random() % rows);
      }
      double taken[3];
      for (int turn = 0; turn < 3; ++turn) {
        const int who = (turn + round) % 3;  // ours, bare, bare again
        size_t found = 0;
        const auto start = std::chrono::steady_clock::now();
        for (const auto& keys : batches) {
          found += who == 0 ? Ours(*store, keys, out.data())
                            : Bare(server.context(), prefixes, keys, out.data());
        }
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        taken[who] = time.count();
        if (found != batch * repeats) std::exit(1);
      }
      for (int who = 0; who < 3; ++who) seconds[who].push_back(taken[who]);
      ratios.push_back(taken[1] / taken[0]);
      noise.push_back(taken[1] / taken[2]);
    }
    const double keys = static_cast<double>(batch) * repeats;
    std::printf("%zu\thiredis\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\n", batch, Median(ratios),
                *std::min_element(ratios.begin(), ratios.end()),
                *std::max_element(ratios.begin(), ratios.end()), Median(noise),
                keys / Median(seconds[0]), keys / Median(seconds[1]));
  }
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  tf_hps::Run(argc > 1 ? std::atoll(argv[1]) : 100000, argc > 2 ? std::atoi(argv[2]) : 15);
  return 0;
}
