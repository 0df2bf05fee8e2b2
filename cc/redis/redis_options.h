#ifndef TF_HPS_CC_REDIS_REDIS_OPTIONS_H_
#define TF_HPS_CC_REDIS_REDIS_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/config.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

struct RedisAddress {
  std::string host;
  int port = 6379;

  std::string ToString() const;
  bool operator<(const RedisAddress& other) const {
    return host != other.host ? host < other.host : port < other.port;
  }
  bool operator==(const RedisAddress& other) const {
    return host == other.host && port == other.port;
  }
};

struct RedisTlsOptions {
  bool on = false;  // rediss://
  std::string ca_file, certificate_file, key_file;
  std::string server_name;  // empty: the host that is connected to
};

// The section `redis` of a table's configuration.
struct RedisOptions {
  std::vector<RedisAddress> addresses;  // of the server, or seeds of the cluster
  bool cluster = false;
  int database = 0;
  std::string username, password;
  RedisTlsOptions tls;
  std::chrono::milliseconds connect_timeout{200};
  std::chrono::milliseconds timeout{100};
  int retries = 1;
  std::chrono::milliseconds retry_backoff{5};
  int pool_size = 8;
  int breaker_failures = 3;
  std::chrono::milliseconds breaker_open{1000};
  int64_t ttl_s = -1;  // -1: by default, 0: rows stay
  int partitions = 16;
};

std::vector<ConfigField> RedisConfigFields();

// Reads the secret and checks the address; fields that are not there have their defaults. `section`
// is what errors call them by. No message shows a password.
absl::StatusOr<RedisOptions> ParseRedisOptions(const nlohmann::json& options,
                                               absl::string_view section = "redis");

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_OPTIONS_H_
