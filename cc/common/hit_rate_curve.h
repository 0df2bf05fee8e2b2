#ifndef TF_HPS_CC_COMMON_HIT_RATE_CURVE_H_
#define TF_HPS_CC_COMMON_HIT_RATE_CURVE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "cc/common/reuse_depths.h"

namespace tf_hps {

// The share of lookups that an LRU cache answers, by its capacity, as windows of lookups showed it.
// A lookup hits in a cache of so many rows if fewer other keys were asked for since its key was.
//
// A window shows few lookups or few keys, so it says something of some capacities only, and of a
// key that is new to it no more than that it was not asked for since the window began. What windows
// of several kinds say is put together as times of survival are (Kaplan, Meier: "Nonparametric
// estimation from incomplete observations", 1958): for a step of capacity, of the lookups that
// would miss below it, which were watched to its end, the share that hits there.
class HitRateCurve {
 public:
  // Depths in a window of the keys of which one in 2^log2_of was chosen; `repeats` more lookups
  // were of the key before them. What was learned of the same capacities before counts less from
  // now on. Not below kMinDepth where not all keys were watched: whether a popular key was chosen
  // is luck, which does not even out near the top.
  void Add(absl::Span<const ReuseDepth> depths, uint64_t repeats, int log2_of);

  struct Point {
    int64_t capacity;  // rows
    double hit_rate;
  };
  // From capacity 0 to the largest one of which enough is known; empty where nothing is.
  std::vector<Point> Points() const;

  static constexpr uint32_t kMinDepth = 192;
  // The share of what was known that stays when a window is added.
  static constexpr double kKept = 0.85;

 private:
  static constexpr int kStepsAnOctave = 4;
  static constexpr int kSteps = 34 * kStepsAnOctave;
  // Lookups that show a step well enough where all miss before it; where few do, their square.
  static constexpr double kMinWatched = 600;

  // Distances of a step are below its limit, and not below the limit of the step before.
  using Limits = std::array<uint64_t, kSteps>;
  static const Limits& TheLimits();

  struct Step {
    double watched = 0;  // lookups that miss below the step
    double hits = 0;     // of those, in it
  };
  std::array<Step, kSteps> steps_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_HIT_RATE_CURVE_H_
