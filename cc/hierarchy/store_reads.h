#ifndef TF_HPS_CC_HIERARCHY_STORE_READS_H_
#define TF_HPS_CC_HIERARCHY_STORE_READS_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/counter.h"
#include "cc/common/key.h"
#include "cc/common/mutex.h"
#include "cc/common/update_stamps.h"

namespace tf_hps {

// Distinct ascending keys that one lookup reads from the stores, and what it found. Written by that
// lookup; others read the rows after StoreReads::Wait has said true.
struct StoreRead {
  static constexpr uint8_t kNobody = 255;

  StoreRead(std::vector<Key> keys, StampsRead stamps, size_t row_bytes)
      : keys(std::move(keys)),
        stamps(std::move(stamps)),
        rows(this->keys.size() * row_bytes),
        found_by(this->keys.size(), kNobody) {}

  const std::vector<Key> keys;
  const StampsRead stamps;  // from before any store was asked
  std::vector<uint8_t> rows;
  std::vector<uint8_t> found_by;  // the tier of each row

 private:
  friend class StoreReads;
  bool is_over = false, is_ok = false;  // guarded by StoreReads::mutex_
  mutable CondVar over;
};

// What one table's lookups are reading from the stores now, so that a key that several of them miss
// is read once. Thread-safe.
//
// Nobody waits before its own read is over, so that lookups cannot wait for each other in a circle.
// A row is taken over only if no update of its key was under way, or began, between the moment
// before its read and now: it is as new as what a read that starts now would find.
class StoreReads {
 public:
  struct Shared {
    uint32_t wanted;  // position in the keys of Begin
    uint32_t index;   // in the read
    std::shared_ptr<const StoreRead> read;
  };

  // One lookup's part: its read lasts until it is ended, or failed by going away.
  class Part {
   public:
    Part(StoreReads* reads, absl::Span<const Key> keys, StampsRead stamps, size_t row_bytes);
    ~Part() { End(false); }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    // The keys that nobody reads yet; own_position(i) is the position of read().keys[i].
    StoreRead& read() { return *read_; }
    uint32_t own_position(size_t i) const { return shared_.empty() ? i : own_[i]; }
    // The others.
    const std::vector<Shared>& shared() const { return shared_; }
    void End(bool ok);

   private:
    StoreReads* const reads_;
    std::shared_ptr<StoreRead> read_;
    std::vector<uint32_t> own_;
    std::vector<Shared> shared_;
    bool ended_ = false;
  };

  // Whether the read succeeded, when it is over.
  bool Wait(const StoreRead& read) const;
  // The same at `deadline`, or nothing where it goes on.
  std::optional<bool> WaitUntil(const StoreRead& read,
                                std::chrono::steady_clock::time_point deadline) const;

  // Keys taken over from another lookup, or about to be.
  int64_t keys_shared() const { return keys_shared_.Get(); }

 private:
  mutable Counter keys_shared_;

  mutable Mutex mutex_;
  std::vector<std::shared_ptr<StoreRead>> reads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_STORE_READS_H_
