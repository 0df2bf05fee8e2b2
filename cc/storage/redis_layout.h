#ifndef TF_HPS_CC_STORAGE_REDIS_LAYOUT_H_
#define TF_HPS_CC_STORAGE_REDIS_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "cc/common/key.h"
#include "cc/common/table_spec.h"

namespace tf_hps {

// The keys and values of docs/formats.md, "A table in Redis".

// 16 hexadecimal digits of FNV-1a over "deployment\nname\ngeneration": short, because it is part of
// each row's key. The record under RedisRecordKey tells two tables apart that share one.
std::string RedisTableId(const TableSpec& spec);
std::string RedisRecordKey(absl::string_view table_id);
// What a table's record says: "1 <partitions> <row format> <dim> <deployment> <name> <generation>".
std::string RedisRecord(const TableSpec& spec, int partitions);
// The number of partitions of a record that says the rest of what RedisRecord(spec, _) says.
std::optional<int> RedisRecordPartitions(absl::string_view record, const TableSpec& spec);

uint32_t RedisPartition(Key key, uint32_t partitions);
// "{<table id>.<partition>}": the hash tag, and the key under which the partition's head stands.
std::string RedisPartitionKey(absl::string_view table_id, uint32_t partition);

constexpr size_t kRedisKeyBytes = 8;
// Big-endian with the sign bit flipped, as in RocksDB.
void AppendRedisKeyBytes(Key key, std::string* out);
Key RedisKeyFromBytes(absl::string_view bytes);

// What a partition's rows are a state of. `lineage` names a sequence of updates; `position` is a
// place in it, 32 hexadecimal digits, compared as text; a "+" behind it says that the rows are on
// the way to the next one.
struct RedisState {
  std::string lineage;
  std::string position;

  std::string ToString() const { return lineage + " " + position; }
  bool operator==(const RedisState& other) const {
    return lineage == other.lineage && position == other.position;
  }
};
std::string RedisPosition(uint64_t number);

// A partition's head: "<epoch> <lineage> <position>". The epoch is part of its row keys.
struct RedisHead {
  int64_t epoch = 0;
  RedisState state;
};
std::optional<RedisHead> ParseRedisHead(absl::string_view text);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_LAYOUT_H_
