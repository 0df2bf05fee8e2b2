#ifndef TF_HPS_CC_STORAGE_REDIS_TABLE_H_
#define TF_HPS_CC_STORAGE_REDIS_TABLE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "cc/common/mutex.h"
#include "cc/common/table_spec.h"
#include "cc/common/update_position.h"
#include "cc/redis/redis_client.h"
#include "cc/storage/redis_layout.h"

namespace tf_hps {

// One partition as this process knows it.
struct RedisTablePartition {
  std::string key;
  int slot = 0;
  // As it was in the last reply. A wrong one finds nothing, and is put right by that reply.
  std::atomic<int64_t> epoch{0};
  // Our rows are none that were loaded, so those of another lineage in Redis are older: our first
  // write empties the partition.
  std::atomic<bool> takes_over{false};
};

// A table in Redis: what is there and who we are to it. Thread-safe.
class RedisTable {
 public:
  RedisTable(TableSpec spec, std::shared_ptr<RedisClient> client);

  // Reads the table's record, or writes the first one. Until it has succeeded once each call tries,
  // one at a time. InvalidArgument: the table there has other rows; for good.
  absl::Status Attach(RedisDeadline deadline);
  bool attached() const { return attached_.load(std::memory_order_acquire); }

  // When attached.
  uint32_t size() const { return size_; }
  RedisTablePartition& partition(uint32_t i) const { return partitions_[i]; }
  uint32_t PartitionOf(Key key) const { return RedisPartition(key, size_); }

  // What this process' rows are a state of; nothing while an update is under way.
  std::optional<RedisState> OurState() const;
  // An update goes from one state to the next, which is ours from now on, whether Redis hears of it
  // or not. Without a position the rows are ours alone from then on. Again before EndUpdate: the
  // same update, or one more that replaces it.
  struct Move {
    RedisState before, after;
  };
  Move BeginUpdate(const UpdatePosition* position);
  // The one that was begun, or begins one.
  Move CurrentUpdate(const UpdatePosition* position);
  void EndUpdate();

  const TableSpec& spec() const { return spec_; }
  const std::string& id() const { return id_; }
  RedisClient& client() const { return *client_; }
  int64_t ttl_s() const { return ttl_s_; }
  std::string maxmemory_policy() const;

 private:
  absl::Status ReadRecord(RedisDeadline deadline);
  void ReadPolicy(RedisDeadline deadline);

  const TableSpec spec_;
  const std::shared_ptr<RedisClient> client_;
  const std::string id_;
  const std::string lineage_;  // of this process' updates
  const int64_t ttl_s_;
  std::atomic<bool> attached_{false};
  // Written before attached_ is set, not after.
  uint32_t size_ = 0;
  mutable std::deque<RedisTablePartition> partitions_;
  mutable Mutex mutex_;
  bool attaching_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status refused_ ABSL_GUARDED_BY(mutex_);
  std::string maxmemory_policy_ ABSL_GUARDED_BY(mutex_);
  RedisState ours_ ABSL_GUARDED_BY(mutex_);
  bool is_alone_ ABSL_GUARDED_BY(mutex_) = false;  // in a lineage of this process
  uint64_t own_updates_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Move> move_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_TABLE_H_
