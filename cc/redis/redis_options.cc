#include "cc/redis/redis_options.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cc/common/option_value.h"

namespace tf_hps {
namespace {

using nlohmann::json;

absl::StatusOr<std::string> Password(const json& options, absl::string_view section) {
  if (const std::string variable = OptionText(options, "password_env"); !variable.empty()) {
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("`", section, ".password_env` names ", variable, ", which is not set"));
    }
    return std::string(value);
  }
  const std::string path = OptionText(options, "password_file");
  if (path.empty()) return std::string();
  std::ifstream file(path);
  if (!file) {
    return absl::FailedPreconditionError(
        absl::StrCat("`", section, ".password_file` ", path, " cannot be read"));
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return std::string(absl::StripTrailingAsciiWhitespace(text));
}

absl::Status UrlError(absl::string_view section, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "`", section, ".url` ", what,
      ". Wanted: redis://HOST[:PORT][/DATABASE], rediss:// for TLS; several with commas between"));
}

// One of the URLs. None is shown in an error: a password may stand in it.
absl::Status ParseUrl(absl::string_view url, absl::string_view section, RedisOptions* options) {
  url = absl::StripAsciiWhitespace(url);
  const bool tls = absl::ConsumePrefix(&url, "rediss://");
  if (!tls && !absl::ConsumePrefix(&url, "redis://")) {
    return UrlError(section, "begins neither with redis:// nor with rediss://");
  }
  if (!options->addresses.empty() && tls != options->tls.on) {
    return UrlError(section, "has addresses with TLS and without");
  }
  options->tls.on = tls;
  if (absl::StrContains(url, '@') || absl::StrContains(url, '?')) {
    return UrlError(section,
                    "holds a user, a password or options; give `username` and `password_file` or "
                    "`password_env`");
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(url, absl::MaxSplits('/', 1));
  absl::string_view host = parts.first;
  RedisAddress address;
  absl::string_view port;
  if (absl::ConsumePrefix(&host, "[")) {  // IPv6
    const size_t end = host.find(']');
    if (end == absl::string_view::npos) return UrlError(section, "has a [ without a ]");
    port = host.substr(end + 1);
    host = host.substr(0, end);
    if (!port.empty() && !absl::ConsumePrefix(&port, ":"))
      return UrlError(section, "has no port after ]");
  } else if (const size_t colon = host.rfind(':'); colon != absl::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (port.empty()) return UrlError(section, "has an empty port");
  }
  if (host.empty()) return UrlError(section, "has no host");
  address.host = std::string(host);
  if (!port.empty() &&
      (!absl::SimpleAtoi(port, &address.port) || address.port < 1 || address.port > 65535)) {
    return UrlError(section, "has a port that is none");
  }
  if (!parts.second.empty() &&
      (!absl::SimpleAtoi(parts.second, &options->database) || options->database < 0)) {
    return UrlError(section, "has a database that is no number");
  }
  options->addresses.push_back(std::move(address));
  return absl::OkStatus();
}

}  // namespace

std::string RedisAddress::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

std::vector<ConfigField> RedisConfigFields() {
  const RedisOptions defaults;
  const auto milliseconds = [](std::chrono::milliseconds time) { return time.count(); };
  return {
      {"url", FieldType::kString, nullptr,
       "redis://HOST:PORT/DATABASE, rediss:// for TLS; of a cluster any of its nodes, with commas"},
      {"cluster", FieldType::kBool, defaults.cluster, "the servers are a Redis Cluster"},
      {"username", FieldType::kString, nullptr, "ACL user; none: the default user"},
      {"password", FieldType::kSecret, nullptr, "the user's password"},
      {"tls_ca_file", FieldType::kPath, nullptr,
       "certificates that the server's must be signed by; none: those of the system"},
      {"tls_cert_file", FieldType::kPath, nullptr, "this client's certificate"},
      {"tls_key_file", FieldType::kPath, nullptr, "its private key"},
      {"tls_server_name", FieldType::kString, nullptr,
       "the name in the server's certificate; none: the host of the URL"},
      {"connect_timeout_ms",
       FieldType::kInt,
       milliseconds(defaults.connect_timeout),
       "longest time to connect, in milliseconds",
       {},
       1,
       60000},
      {"timeout_ms",
       FieldType::kInt,
       milliseconds(defaults.timeout),
       "longest time that a lookup waits for this tier, retries included, in milliseconds",
       {},
       1,
       60000},
      {"retries",
       FieldType::kInt,
       defaults.retries,
       "how often what failed is tried again, while there is time",
       {},
       0,
       10},
      {"retry_backoff_ms",
       FieldType::kInt,
       milliseconds(defaults.retry_backoff),
       "pause before the first retry, doubled for each further, in milliseconds",
       {},
       0,
       10000},
      {"pool_size",
       FieldType::kInt,
       defaults.pool_size,
       "idle connections kept to each server",
       {},
       1,
       1024},
      {"breaker_failures",
       FieldType::kInt,
       defaults.breaker_failures,
       "failures in a row after which a server is left alone",
       {},
       1,
       1000000},
      {"breaker_open_ms",
       FieldType::kInt,
       milliseconds(defaults.breaker_open),
       "how long it is left alone before it is tried in the background, in milliseconds",
       {},
       1,
       3600000},
      {"ttl_s",
       FieldType::kInt,
       nullptr,
       "seconds a row stays after it was written; 0: for ever; default: a week, and for ever "
       "without a tier below",
       {},
       0,
       1e9},
      {"partitions",
       FieldType::kInt,
       defaults.partitions,
       "parts of a table, each in one slot of a cluster; the table's first server decides",
       {},
       1,
       4096},
  };
}

absl::StatusOr<RedisOptions> ParseRedisOptions(const json& json_options,
                                               absl::string_view section) {
  RedisOptions options;
  const std::string url = OptionText(json_options, "url");
  if (url.empty()) return absl::InvalidArgumentError(absl::StrCat("`", section, ".url` is needed"));
  for (const absl::string_view one : absl::StrSplit(url, ',')) {
    if (absl::Status status = ParseUrl(one, section, &options); !status.ok()) return status;
  }
  options.cluster = json_options.value("cluster", options.cluster);
  if (!options.cluster && options.addresses.size() > 1) {
    return UrlError(section, "has several addresses, and `cluster` is false");
  }
  if (options.cluster && options.database != 0) {
    return UrlError(section, "has a database; a cluster has none but 0");
  }
  options.username = OptionText(json_options, "username");
  absl::StatusOr<std::string> password = Password(json_options, section);
  if (!password.ok()) return password.status();
  options.password = *std::move(password);
  if (!options.username.empty() && options.password.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("`", section, ".username` needs a `", section,
                                                   ".password_file` or `", section,
                                                   ".password_env`"));
  }
  options.tls.ca_file = OptionText(json_options, "tls_ca_file");
  options.tls.certificate_file = OptionText(json_options, "tls_cert_file");
  options.tls.key_file = OptionText(json_options, "tls_key_file");
  options.tls.server_name = OptionText(json_options, "tls_server_name");
  if (options.tls.certificate_file.empty() != options.tls.key_file.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("`", section, ".tls_cert_file` and `", section,
                                                   ".tls_key_file` are given both or not at all"));
  }
  const auto milliseconds = [&](const char* name, std::chrono::milliseconds otherwise) {
    return std::chrono::milliseconds(OptionOr<int64_t>(json_options, name, otherwise.count()));
  };
  options.connect_timeout = milliseconds("connect_timeout_ms", options.connect_timeout);
  options.timeout = milliseconds("timeout_ms", options.timeout);
  options.retries = static_cast<int>(OptionOr<int64_t>(json_options, "retries", options.retries));
  options.retry_backoff = milliseconds("retry_backoff_ms", options.retry_backoff);
  options.pool_size =
      static_cast<int>(OptionOr<int64_t>(json_options, "pool_size", options.pool_size));
  options.breaker_failures = static_cast<int>(
      OptionOr<int64_t>(json_options, "breaker_failures", options.breaker_failures));
  options.breaker_open = milliseconds("breaker_open_ms", options.breaker_open);
  options.ttl_s = OptionOr<int64_t>(json_options, "ttl_s", options.ttl_s);
  options.partitions =
      static_cast<int>(OptionOr<int64_t>(json_options, "partitions", options.partitions));
  return options;
}

}  // namespace tf_hps
