#ifndef TF_HPS_CC_HIERARCHY_KEY_SAMPLER_H_
#define TF_HPS_CC_HIERARCHY_KEY_SAMPLER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>

#include "absl/types/span.h"
#include "cc/common/counter.h"
#include "cc/common/hit_rate_curve.h"
#include "cc/common/key.h"
#include "cc/common/key_choice.h"
#include "cc/common/mutex.h"
#include "cc/common/rows.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// What share of a table's lookups a cache would answer, by its capacity, from what is asked for.
// Thread-safe.
//
// Lookups write keys down and do nothing else. They do so in windows: of all keys for a while, then
// of one in 8 for eight times as long, one in 64, and so on to where the table ends. After
// "Efficient MRC Construction with SHARDS" (Waldspurger et al., FAST 2015), which chooses keys by
// their hash at one rate; of embeddings a tenth of the lookups may be of one key, and at one rate
// the luck of having it is larger than what is measured. What happens near the top is seen with all
// keys, and a window that is sparse tells of capacities that span many of the keys it has
// (HitRateCurve).
//
// Between windows there are pauses, so that one key in kShare is written down at the most, but for
// the first kFree windows.
class KeySampler {
 public:
  static constexpr uint32_t kWindow = 1 << 16;  // keys that are written down
  static constexpr int kShare = 512;
  static constexpr int kFree = 24;

  // `asked`: how many keys were asked for, outlives it.
  explicit KeySampler(const Counter* asked);
  ~KeySampler();

  // The keys at the pending positions are asked for now. Never waits. Positions count, as they do
  // in the hits of a tier: of a key that comes twice in one lookup the second one hits, its row is
  // read once.
  void Record(absl::Span<const Key> keys, const Pending& pending) {
    if (static_cast<uint32_t>(next_.load(std::memory_order_acquire)) < kWindow) {
      RecordNow(keys, pending);
    }
  }

  // Reckons a window that is full, and begins the next when it is due. Some milliseconds at the
  // most; a thread of the process calls it a few times a second.
  void Advance();

  // {"capacity_rows": [...], "hit_rates": [...], "windows", "sampled_keys", "one_in"}: the windows
  // so far and what there is of the present one.
  nlohmann::json Stats();

 private:
  static constexpr int kLog2Factor = 3;
  static constexpr int kLevels = 6;  // up to one key in 2^15, for 2^27 rows and more

  void RecordNow(absl::Span<const Key> keys, const Pending& pending);
  // Whether the window, begun as `window`, takes more. `repeats`: see repeats_.
  bool Append(uint64_t window, absl::Span<const Key> keys, uint32_t repeats);
  void Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AdvanceLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the present window; those that are written by now.
  std::vector<ReuseDepth> DepthsSoFar() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int NextLevel(absl::Span<const ReuseDepth> depths) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after construction.
  const Counter& asked_;
  const ChooseKeys choose_;
  // As half of their hashes: a window has one pair that is mistaken for one key, or none.
  const std::unique_ptr<std::atomic<uint32_t>[]> keys_;

  // Synchronize themselves. next_: the window's number above 32 bits with the place of the next
  // key, kWindow when it takes no more. Who has read the number reads its seed and rate, and takes
  // a place only while it is that window's still.
  std::atomic<uint64_t> next_{kWindow};
  std::atomic<uint32_t> written_{kWindow};
  // Of the window: keys that are not written down, for the one before is the same. A request that
  // repeats its user's id for each of its candidates would fill windows with it.
  std::atomic<uint64_t> repeats_{0};
  std::atomic<uint64_t> seed_{0};
  std::atomic<int> log2_of_{0};

  Mutex mutex_;
  int level_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t windows_ ABSL_GUARDED_BY(mutex_) = 0;       // reckoned ones
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;      // one is begun and not reckoned
  int64_t asked_before_ ABSL_GUARDED_BY(mutex_) = 0;  // the present one
  int64_t not_before_ ABSL_GUARDED_BY(mutex_) = 0;    // so many were asked for the next begins
  HitRateCurve curve_ ABSL_GUARDED_BY(mutex_);
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_KEY_SAMPLER_H_
