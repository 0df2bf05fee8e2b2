#ifndef TF_HPS_CC_STORAGE_REDIS_FIND_H_
#define TF_HPS_CC_STORAGE_REDIS_FIND_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/common/rows.h"
#include "cc/storage/redis_table.h"

namespace tf_hps {

// One batch of keys, asked for with one MGET a partition: first the partition's head, then rows, so
// that a reply tells by itself whether its rows may be used.
class RedisFind {
 public:
  RedisFind(RedisTable* table, absl::Span<const Key> keys, const RowSink& sink)
      : table_(*table), keys_(keys), sink_(sink), ours_(table->OurState()), parts_(table->size()) {}

  void Add(uint32_t position) {
    parts_[table_.PartitionOf(keys_[position])].positions.push_back(position);
  }
  // Puts what is there into the sink. The first error; other partitions are answered all the same.
  absl::Status Run(RedisDeadline deadline);
  // The positions that were not answered, ascending.
  void AppendLeft(std::vector<uint32_t>* left) const;
  // Of partitions whose rows are of another state than ours.
  int64_t heads_not_usable() const { return heads_not_usable_; }

 private:
  struct Part {
    std::vector<uint32_t> positions;
    std::vector<uint8_t> found;
  };
  class Reader;

  std::string Command(const Part& part, const RedisTablePartition& partition, int64_t epoch) const;

  RedisTable& table_;
  const absl::Span<const Key> keys_;
  const RowSink& sink_;
  const std::optional<RedisState> ours_;
  std::vector<Part> parts_;
  int64_t heads_not_usable_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_FIND_H_
