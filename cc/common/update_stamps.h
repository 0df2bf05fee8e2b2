#ifndef TF_HPS_CC_COMMON_UPDATE_STAMPS_H_
#define TF_HPS_CC_COMMON_UPDATE_STAMPS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/hash.h"
#include "cc/common/key.h"

namespace tf_hps {

// One count per shard of keys, moved by every update and erase after a lower tier was written and
// before the next tier above is. Whoever carries rows upward (promotion, preload, a cache fill)
// reads the stamps of its keys before it asks the source tier, and the destination refuses a row
// whose stamp moved since: the row read then may be older than one that already came and went
// above.
//
// Why one bump between two writes is enough: if the source was read before the update wrote it, the
// stamp was read before the bump. The check and the insert are one critical section of the
// destination. A check after the bump refuses; one before the bump inserts an old row, which the
// update, still to come to this tier, replaces.
//
// 4096 shards: one count per table would refuse nearly every fill under a stream of updates.
class UpdateStamps {
 public:
  static constexpr int kShards = 4096;

  uint32_t Get(Key key) const { return shards_[Shard(key)].load(std::memory_order_acquire); }
  std::vector<uint32_t> GetAll() const {
    std::vector<uint32_t> all(kShards);
    for (int i = 0; i < kShards; ++i) all[i] = shards_[i].load(std::memory_order_acquire);
    return all;
  }
  void Move(absl::Span<const Key> keys) {
    for (Key key : keys) shards_[Shard(key)].fetch_add(1, std::memory_order_acq_rel);
  }

  // The low bits: the high ones choose the set of a store (hash.h), and keys of one set should not
  // share a stamp.
  static uint32_t Shard(Key key) { return static_cast<uint32_t>(HashKey(key)) % kShards; }

 private:
  std::array<std::atomic<uint32_t>, kShards> shards_{};
};

// Stamps as they stood before a source tier was asked.
class StampsRead {
 public:
  // Of a batch's keys.
  StampsRead(const UpdateStamps* stamps, absl::Span<const Key> keys) : stamps_(stamps) {
    read_.reserve(keys.size());
    for (Key key : keys) read_.push_back(stamps->Get(key));
  }
  // Of all keys, for a scan that does not know its keys yet: 16 KiB.
  explicit StampsRead(const UpdateStamps* stamps)
      : stamps_(stamps), read_(stamps->GetAll()), of_all_keys_(true) {}

  // Of the keys at these positions of the batch, for a part of it.
  StampsRead Select(absl::Span<const uint32_t> positions) const {
    StampsRead selected(stamps_, {});
    selected.read_.reserve(positions.size());
    for (uint32_t p : positions) selected.read_.push_back(read_[p]);
    return selected;
  }

  // Whether keys[i] of the batch was updated or erased since.
  bool Moved(size_t i, Key key) const {
    return stamps_->Get(key) != read_[of_all_keys_ ? UpdateStamps::Shard(key) : i];
  }

 private:
  const UpdateStamps* stamps_;
  std::vector<uint32_t> read_;
  bool of_all_keys_ = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_UPDATE_STAMPS_H_
