#include <unistd.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cc/common/option_value.h"
#include "cc/common/update_position.h"
#include "cc/redis/redis_client.h"
#include "cc/redis/redis_options.h"
#include "cc/update/redis_stream.h"

namespace tf_hps {
namespace {

using std::chrono::milliseconds;

// For a commit that is not there yet: as long as whoever wants to stop has to wait.
constexpr int kWaitMs = 50;
// Entries that are read at once, each of at most a few MiB.
constexpr const char* kEntries = "8";
// How often the publisher hears how far we are.
constexpr milliseconds kHeard{1000};
// Nobody's lookup waits for a stream, unlike for a tier: time enough for a busy server.
constexpr int64_t kTimeoutMs = 5000;

// KEYS: readers. ARGV: this reader, the stream it stands in, its number.
constexpr absl::string_view kHeardScript = R"(
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. string.format('%.0f', now))
return 1
)";

absl::string_view TextOf(const redisReply* reply) {
  return reply != nullptr && reply->str != nullptr ? absl::string_view(reply->str, reply->len) : "";
}

uint64_t NumberOf(absl::string_view text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

std::string NewReader() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrFormat("%s-%d-%08x", host, getpid(), std::random_device()());
}

// An entry of the stream: a commit's frames, or the key under which its parts are.
struct StreamEntry {
  uint64_t number = 0;
  std::string lineage, frames, parts;
  uint64_t part_count = 0;
};

// {id, {name, value, ...}}
StreamEntry ParseStreamEntry(const redisReply& reply) {
  StreamEntry entry;
  if (reply.elements != 2) return entry;
  entry.number = NumberOf(TextOf(reply.element[0]).substr(0, TextOf(reply.element[0]).find('-')));
  const redisReply& fields = *reply.element[1];
  for (size_t i = 0; i + 1 < fields.elements; i += 2) {
    const absl::string_view name = TextOf(fields.element[i]);
    const absl::string_view value = TextOf(fields.element[i + 1]);
    if (name == "l") entry.lineage = std::string(value);
    if (name == "f") entry.frames = std::string(value);
    if (name == "p") entry.parts = std::string(value);
    if (name == "c") entry.part_count = NumberOf(value);
  }
  return entry;
}

class RedisStreamSource : public UpdateSource {
 public:
  RedisStreamSource(std::shared_ptr<RedisClient> client, const std::string& stream,
                    std::string reader)
      : client_(std::move(client)),
        key_(absl::StrCat("tf_hps/updates/{", stream, "}")),
        head_(absl::StrCat(key_, "/head")),
        readers_(absl::StrCat(key_, "/readers")),
        reader_(std::move(reader)),
        slot_(RedisSlot(key_)) {}

  // Until Redis has answered once. Who may not ask is told nothing but this.
  absl::Status CheckEviction() {
    if (is_checked_) return absl::OkStatus();
    const auto reply = client_->Call(slot_, {"INFO", "memory"}, Deadline());
    if (!reply.ok()) {
      if (!absl::StrContains(reply.status().message(), "NOPERM")) return reply.status();
      LOG(WARNING) << "updates: whether Redis may evict the stream is not known: "
                   << reply.status().message();
    } else {
      for (const absl::string_view line : absl::StrSplit(TextOf(reply->get()), "\r\n")) {
        if (!absl::StartsWith(line, "maxmemory_policy:allkeys-")) continue;
        return absl::FailedPreconditionError(
            absl::StrCat("updates: Redis has ", line,
                         ", which may evict the stream. Wanted: a volatile-* "
                         "policy, or noeviction"));
      }
    }
    is_checked_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<Commit>> After(const std::string& position) override {
    const absl::StatusOr<UpdatePosition> at = ParseUpdatePosition(position);
    if (!at.ok()) return at.status();
    if (absl::Status status = CheckEviction(); !status.ok()) return status;
    if (ahead_.empty() || ahead_.front().number != at->number + 1 ||
        (at->number > 0 && ahead_.front().lineage != at->stream)) {
      ahead_.clear();
      if (absl::Status status = ReadAhead(*at); !status.ok()) return status;
    }
    // Whoever is told what comes after a position has what comes before it.
    if (absl::Status status = TellWhereWeAre(*at); !status.ok()) return status;
    if (ahead_.empty()) return std::nullopt;
    StreamEntry& next = ahead_.front();
    Commit commit{UpdatePositionText(next.lineage, next.number), std::move(next.frames)};
    if (absl::Status status = ReadParts(next, &commit.frames); !status.ok()) {
      ahead_.clear();
      return status;
    }
    ahead_.pop_front();
    return commit;
  }

  absl::StatusOr<std::string> Newest() override {
    const absl::StatusOr<UpdatePosition> end = End();
    if (!end.ok()) return end.status();
    return end->number == 0 ? "" : UpdatePositionText(end->stream, end->number);
  }

  absl::StatusOr<int64_t> CommitsAfter(const std::string& position) override {
    const absl::StatusOr<UpdatePosition> at = ParseUpdatePosition(position);
    if (!at.ok()) return at.status();
    const absl::StatusOr<UpdatePosition> end = End();
    if (!end.ok()) return end.status();
    return static_cast<int64_t>(end->number > at->number ? end->number - at->number : 0);
  }

 private:
  RedisDeadline Deadline() const { return client_->NewDeadline(); }

  // Of the last commit; number 0 without one.
  absl::StatusOr<UpdatePosition> End() {
    const auto reply = client_->Call(slot_, {"HMGET", head_, "lineage", "last"}, Deadline());
    if (!reply.ok()) return reply.status();
    if ((*reply)->elements != 2) return UpdatePosition{};
    return UpdatePosition{std::string(TextOf((*reply)->element[0])),
                          NumberOf(TextOf((*reply)->element[1]))};
  }

  // The entries after `at`, as many as are there: none, one after a while, or some.
  absl::Status ReadAhead(const UpdatePosition& at) {
    const std::string wait = absl::StrCat(kWaitMs);
    const std::string from = absl::StrCat(at.number, "-0");
    const auto reply =
        client_->Call(slot_, {"XREAD", "COUNT", kEntries, "BLOCK", wait, "STREAMS", key_, from},
                      Deadline() + milliseconds(kWaitMs));
    if (!reply.ok()) return reply.status();
    if ((*reply)->type == REDIS_REPLY_ARRAY && (*reply)->elements == 1 &&
        (*reply)->element[0]->elements == 2) {
      const redisReply& entries = *(*reply)->element[0]->element[1];
      for (size_t i = 0; i < entries.elements; ++i) {
        ahead_.push_back(ParseStreamEntry(*entries.element[i]));
      }
    }
    absl::Status status = CheckFollows(at);
    for (size_t i = 1; status.ok() && i < ahead_.size(); ++i) {
      if (ahead_[i].number == ahead_[0].number + i) continue;
      status =
          absl::DataLossError(absl::StrCat("updates: ", key_, " has no commit ",
                                           ahead_[0].number + i, " before ", ahead_[i].number));
    }
    if (!status.ok()) ahead_.clear();
    return status;
  }

  // Whether what was read comes right after `at`, or the stream ends there.
  absl::Status CheckFollows(const UpdatePosition& at) {
    const auto lost = [&](auto... why) {
      return absl::DataLossError(
          absl::StrCat("updates: the stream ", key_, why..., ": who stands at \"",
                       at.number == 0 ? "" : UpdatePositionText(at.stream, at.number),
                       "\" misses updates, and has to be loaded again"));
    };
    if (!ahead_.empty()) {
      if (at.number > 0 && ahead_.front().lineage != at.stream) return lost(" was begun anew");
      const uint64_t first = ahead_.front().number;
      if (first == at.number + 1) return absl::OkStatus();
      return lost(" begins with commit ", first);
    }
    if (at.number == 0) return absl::OkStatus();
    const absl::StatusOr<UpdatePosition> end = End();
    if (!end.ok()) return end.status();
    if (end->number == 0) return lost(" is gone: Redis has come back without it");
    if (end->stream != at.stream) return lost(" was begun anew");
    if (end->number < at.number) return lost(" ends at commit ", end->number);
    return absl::OkStatus();
  }

  absl::Status TellWhereWeAre(const UpdatePosition& at) {
    const auto now = std::chrono::steady_clock::now();
    if (told_ && now - *told_ < kHeard) return absl::OkStatus();
    const std::string number = absl::StrCat(at.number);
    // Before its first commit a reader has the stream that it sees.
    std::string lineage = at.stream;
    if (at.number == 0) lineage = ahead_.empty() ? "none" : ahead_.front().lineage;
    const auto reply = client_->Call(
        slot_, {"EVAL", kHeardScript, "1", readers_, reader_, lineage, number}, Deadline());
    if (reply.ok()) told_ = now;
    return reply.status();
  }

  absl::Status ReadParts(const StreamEntry& entry, std::string* frames) {
    for (uint64_t i = 0; i < entry.part_count; ++i) {
      const std::string part = absl::StrCat(i);
      const auto reply = client_->Call(slot_, {"HGET", entry.parts, part}, Deadline());
      if (!reply.ok()) return reply.status();
      if ((*reply)->type != REDIS_REPLY_STRING) {
        return absl::DataLossError(absl::StrCat("updates: part ", part, " of commit ", entry.number,
                                                " is gone from ", key_,
                                                ": it was dropped while it was read"));
      }
      absl::StrAppend(frames, TextOf(reply->get()));
    }
    return absl::OkStatus();
  }

  // Constant after construction.
  const std::shared_ptr<RedisClient> client_;
  const std::string key_, head_, readers_, reader_;
  const int slot_;

  bool is_checked_ = false;
  std::deque<StreamEntry> ahead_;  // of one lineage, without a gap
  std::optional<std::chrono::steady_clock::time_point> told_;
};

const bool redis_stream_is_registered =
    RegisterUpdateSource({"redis_stream", RedisStreamConfigFields(), &OpenRedisStreamSource});

}  // namespace

std::vector<ConfigField> RedisStreamConfigFields() {
  std::vector<ConfigField> fields = {
      {"stream", FieldType::kString, "updates", "name of the stream in Redis"},
      {"reader", FieldType::kString, nullptr,
       "this server's name to publishers; default: host, process and a random number"},
      {"timeout_ms",
       FieldType::kInt,
       kTimeoutMs,
       "longest time to wait for an answer, in milliseconds",
       {},
       1,
       600000},
  };
  for (const ConfigField& field : RedisConfigFields()) {
    for (const char* name : {"cluster", "username", "password", "tls_ca_file", "tls_cert_file",
                             "tls_key_file", "tls_server_name", "connect_timeout_ms"}) {
      if (field.name == name) fields.push_back(field);
    }
  }
  return fields;
}

absl::StatusOr<std::unique_ptr<UpdateSource>> OpenRedisStreamSource(const nlohmann::json& options) {
  absl::StatusOr<RedisOptions> parsed = ParseRedisOptions(options, "updates");
  if (!parsed.ok()) return parsed.status();
  parsed->timeout = milliseconds(OptionOr(options, "timeout_ms", kTimeoutMs));
  const std::string reader = OptionText(options, "reader");
  auto source = std::make_unique<RedisStreamSource>(
      RedisClient::Get(*parsed), OptionOr<std::string>(options, "stream", "updates"),
      reader.empty() ? NewReader() : reader);
  // What only time can heal is waited for by those who ask.
  const absl::Status status = source->CheckEviction();
  if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    return status;
  }
  return source;
}

}  // namespace tf_hps
