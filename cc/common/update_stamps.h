#ifndef TF_HPS_CC_COMMON_UPDATE_STAMPS_H_
#define TF_HPS_CC_COMMON_UPDATE_STAMPS_H_

#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/hash.h"
#include "cc/common/key.h"

namespace tf_hps {

// One count per shard of keys: odd while an update of one of its keys is under way, moved by it.
// Whoever carries rows upward (promotion, preload, a cache fill) reads the stamps of its keys
// before it asks the source tier, and the destination refuses a row whose stamp was odd or moved
// since: the row read then may be older than one that already came and went above. Check and insert
// are one critical section of the destination.
//
// While a stamp is odd nobody but the update itself writes its keys above. So a lookup that missed
// above and then read the new row below cannot find the old one above the next time: answers never
// go back.
//
// 4096 shards: one count per table would refuse nearly every fill under a stream of updates.
class UpdateStamps {
 public:
  static constexpr int kShards = 4096;

  // Keeps the stamps of some keys odd as long as it lives. One at a time for a table.
  class Update {
   public:
    Update(UpdateStamps* stamps, absl::Span<const Key> keys, absl::Span<const Key> more_keys)
        : stamps_(stamps) {
      for (Key key : keys) touched_.set(Shard(key));
      for (Key key : more_keys) touched_.set(Shard(key));
      Move();
    }
    ~Update() { Move(); }
    Update(const Update&) = delete;
    Update& operator=(const Update&) = delete;

   private:
    void Move() {
      for (int i = 0; i < kShards; ++i) {
        if (touched_.test(i)) stamps_->shards_[i].fetch_add(1);
      }
    }
    UpdateStamps* const stamps_;
    std::bitset<kShards> touched_;
  };

  UpdateStamps() : shards_(new std::atomic<uint32_t>[kShards]()) {}

  uint32_t Get(Key key) const { return shards_[Shard(key)].load(); }
  std::vector<uint32_t> GetAll() const {
    std::vector<uint32_t> all(kShards);
    for (int i = 0; i < kShards; ++i) all[i] = shards_[i].load();
    return all;
  }

  // The low bits: the high ones choose the set of a store (hash.h), and keys of one set should not
  // share a stamp.
  static uint32_t Shard(Key key) { return static_cast<uint32_t>(HashKey(key)) % kShards; }

 private:
  const std::unique_ptr<std::atomic<uint32_t>[]> shards_;
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

  // Whether keys[i] of the batch was being updated or erased then, or has been since.
  bool Moved(size_t i, Key key) const {
    const uint32_t read = read_[of_all_keys_ ? UpdateStamps::Shard(key) : i];
    return (read & 1) != 0 || stamps_->Get(key) != read;
  }

 private:
  const UpdateStamps* stamps_;
  std::vector<uint32_t> read_;
  bool of_all_keys_ = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_UPDATE_STAMPS_H_
