// RedisClient: who has which slot.

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/redis/redis_background.h"
#include "cc/redis/redis_client.h"

namespace tf_hps {
namespace {

constexpr int kSlots = 16384;

// CRC16 of XMODEM: polynomial 0x1021, from 0, high bit first.
std::array<uint16_t, 256> MakeCrcTable() {
  std::array<uint16_t, 256> table;
  for (int byte = 0; byte < 256; ++byte) {
    uint16_t crc = static_cast<uint16_t>(byte << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0));
    }
    table[byte] = crc;
  }
  return table;
}

}  // namespace

int RedisSlot(absl::string_view key) {
  static const std::array<uint16_t, 256> table = MakeCrcTable();
  if (const size_t open = key.find('{'); open != absl::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != absl::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  uint16_t crc = 0;
  for (const char c : key) {
    crc = static_cast<uint16_t>((crc << 8) ^ table[(crc >> 8) ^ static_cast<uint8_t>(c)]);
  }
  return crc % kSlots;
}

std::shared_ptr<RedisNode> RedisClient::NodeAt(const RedisAddress& address) {
  MutexLock lock(&mutex_);
  std::shared_ptr<RedisNode>& node = nodes_[address];
  if (node == nullptr) node = std::make_shared<RedisNode>(options_, address);
  return node;
}

absl::StatusOr<std::shared_ptr<const RedisClient::Topology>> RedisClient::CurrentTopology(
    RedisDeadline deadline) {
  {
    MutexLock lock(&mutex_);
    if (topology_ != nullptr) return topology_;
  }
  if (absl::Status status = RefreshTopology(deadline); !status.ok()) return status;
  MutexLock lock(&mutex_);
  return topology_;
}

absl::Status RedisClient::RefreshTopology(RedisDeadline deadline) {
  std::vector<RedisAddress> known = options_->addresses;
  {
    MutexLock lock(&mutex_);
    for (const auto& [address, node] : nodes_) {
      if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(address);
    }
  }
  absl::Status last = absl::UnavailableError("no server of the cluster is known");
  for (const RedisAddress& address : known) {
    const std::shared_ptr<RedisNode> node = NodeAt(address);
    auto connection = node->Take(deadline);
    if (!connection.ok()) {
      last = connection.status();
      continue;
    }
    const auto reply = (*connection)->Call({"CLUSTER", "SLOTS"}, deadline);
    if (!reply.ok()) {
      last = reply.status();
      node->Failed(*std::move(connection), last);
      continue;
    }
    node->GiveBack(*std::move(connection));
    last = ApplySlots(**reply, address);
    if (last.ok()) return last;
  }
  return last;
}

// An array of {first slot, last slot, {host, port, ...} of the master, replicas...}.
absl::Status RedisClient::ApplySlots(const redisReply& reply, const RedisAddress& asked) {
  auto topology = std::make_shared<Topology>();
  topology->server_of_slot.assign(kSlots, 0);
  std::vector<bool> covered(kSlots);
  for (size_t i = 0; i < reply.elements; ++i) {
    const redisReply& range = *reply.element[i];
    if (range.type != REDIS_REPLY_ARRAY || range.elements < 3 || range.element[2]->elements < 2) {
      return absl::UnavailableError("CLUSTER SLOTS answers in an unknown form");
    }
    const redisReply& master = *range.element[2];
    RedisAddress address{asked.host, static_cast<int>(master.element[1]->integer)};
    if (master.element[0]->type == REDIS_REPLY_STRING && master.element[0]->len > 0) {
      address.host.assign(master.element[0]->str, master.element[0]->len);
    }
    const std::shared_ptr<RedisNode> node = NodeAt(address);
    auto& servers = topology->servers;
    const size_t server = std::find(servers.begin(), servers.end(), node) - servers.begin();
    if (server == servers.size()) servers.push_back(node);
    const int64_t last = std::min<int64_t>(kSlots - 1, range.element[1]->integer);
    for (int64_t slot = std::max<int64_t>(0, range.element[0]->integer); slot <= last; ++slot) {
      topology->server_of_slot[slot] = static_cast<uint16_t>(server);
      covered[slot] = true;
    }
  }
  // Slots without a master are asked for at any server, which says so.
  if (topology->servers.empty()) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", asked.ToString(), " knows no slot: the cluster is not set up"));
  }
  MutexLock lock(&mutex_);
  // Servers that have gone are forgotten with their connections; seeds are asked again.
  for (auto entry = nodes_.begin(); entry != nodes_.end();) {
    const bool has_slots = std::find(topology->servers.begin(), topology->servers.end(),
                                     entry->second) != topology->servers.end();
    entry = has_slots ? std::next(entry) : nodes_.erase(entry);
  }
  topology_ = std::move(topology);
  return absl::OkStatus();
}

void RedisClient::RefreshInBackground() {
  {
    MutexLock lock(&mutex_);
    if (refreshing_) return;
    refreshing_ = true;
  }
  RedisBackground().Schedule([self = shared_from_this()] {
    self->RefreshTopology(std::chrono::steady_clock::now() + 2 * self->options_->connect_timeout)
        .IgnoreError();
    MutexLock lock(&self->mutex_);
    self->refreshing_ = false;
  });
}

void RedisClient::MoveSlot(int slot, const std::shared_ptr<RedisNode>& node) {
  MutexLock lock(&mutex_);
  if (topology_ == nullptr) return;
  auto topology = std::make_shared<Topology>(*topology_);
  auto& servers = topology->servers;
  const size_t server = std::find(servers.begin(), servers.end(), node) - servers.begin();
  if (server == servers.size()) servers.push_back(node);
  topology->server_of_slot[slot] = static_cast<uint16_t>(server);
  topology_ = std::move(topology);
}

}  // namespace tf_hps
