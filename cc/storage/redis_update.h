#ifndef TF_HPS_CC_STORAGE_REDIS_UPDATE_H_
#define TF_HPS_CC_STORAGE_REDIS_UPDATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/common/rows.h"
#include "cc/storage/embedding_store.h"
#include "cc/storage/redis_script.h"
#include "cc/storage/redis_table.h"

namespace tf_hps {

// One call of Insert or Erase, on its way to the partitions. docs/redis.md has the protocol.
class RedisUpdate {
 public:
  RedisUpdate(RedisTable* table, absl::Span<const Key> keys, const RowsView& rows,
              absl::Span<const Key> erased, const InsertOptions& options,
              const UpdatePosition* position = nullptr)
      : table_(*table),
        keys_(keys),
        rows_(rows),
        erased_(erased),
        options_(options),
        position_(position) {}

  // Rows read below, where nothing stands yet. Those whose stamps moved, or that are of another
  // state than the partition, are refused.
  absl::Status Promote();
  // Rows and erases that count, whatever stands there, and the end of the update, which moves all
  // partitions on. Callers take turns. After an error some are behind us: nobody of ours reads them
  // until a later write has emptied them.
  absl::Status Apply();

  int64_t rows_written() const { return rows_written_; }
  int64_t rows_refused() const { return rows_refused_; }

 private:
  // What goes to one partition.
  struct Part {
    std::vector<uint32_t> puts;    // indices of keys_
    std::vector<uint32_t> erases;  // of erased_
    RedisState before, after;
    bool is_sent = false;  // also without rows
    size_t size() const { return puts.size() + erases.size(); }
  };

  std::vector<Part> Partitioned() const;
  bool IsRefused(uint32_t i);
  RedisWrite PartOfWrite(const RedisTablePartition& partition, const Part& part, size_t begin,
                         size_t end) const;
  absl::Status Send(const std::vector<Part>& parts);
  void Refuse(const Part& part, size_t begin, size_t end);

  RedisTable& table_;
  const absl::Span<const Key> keys_;
  const RowsView rows_;
  const absl::Span<const Key> erased_;
  const InsertOptions& options_;
  const UpdatePosition* const position_;
  int64_t rows_written_ = 0;
  int64_t rows_refused_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_UPDATE_H_
