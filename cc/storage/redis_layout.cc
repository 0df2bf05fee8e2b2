#include "cc/storage/redis_layout.h"

#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cc/common/hash.h"
#include "cc/common/row_format.h"
#include "cc/common/text_hash.h"

namespace tf_hps {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

std::string RedisTableId(const TableSpec& spec) {
  return TextHash(absl::StrCat(spec.deployment, "\n", spec.name, "\n", spec.generation));
}

std::string RedisRecordKey(absl::string_view table_id) {
  return absl::StrCat("tf_hps/{", table_id, "}");
}

std::string RedisRecord(const TableSpec& spec, int partitions) {
  return absl::StrCat("1 ", partitions, " ", RowFormatName(spec.row_format), " ",
                      spec.embedding_dim, " ", spec.deployment, " ", spec.name, " ",
                      OrDash(spec.generation));
}

std::optional<int> RedisRecordPartitions(absl::string_view record, const TableSpec& spec) {
  const std::vector<absl::string_view> words = absl::StrSplit(record, ' ');
  int partitions = 0;
  if (words.size() < 2 || !absl::SimpleAtoi(words[1], &partitions) || partitions < 1 ||
      partitions > 4096 || record != RedisRecord(spec, partitions)) {
    return std::nullopt;
  }
  return partitions;
}

uint32_t RedisPartition(Key key, uint32_t partitions) {
  return static_cast<uint32_t>(ReduceHash(HashKey(key), partitions));
}

std::string RedisPartitionKey(absl::string_view table_id, uint32_t partition) {
  return absl::StrCat("{", table_id, ".", partition, "}");
}

void AppendRedisKeyBytes(Key key, std::string* out) {
  const uint64_t bytes = __builtin_bswap64(static_cast<uint64_t>(key) ^ kSignBit);
  out->append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
}

Key RedisKeyFromBytes(absl::string_view bytes) {
  uint64_t order = 0;
  std::memcpy(&order, bytes.data(), sizeof(order));
  return static_cast<Key>(__builtin_bswap64(order) ^ kSignBit);
}

std::string RedisPosition(uint64_t number) { return absl::StrFormat("%032x", number); }

std::optional<RedisHead> ParseRedisHead(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  RedisHead head;
  if (words.size() != 3 || !absl::SimpleAtoi(words[0], &head.epoch)) return std::nullopt;
  head.state = {std::string(words[1]), std::string(words[2])};
  return head;
}

}  // namespace tf_hps
