#include "cc/common/hit_rate_curve.h"

#include <algorithm>
#include <cmath>

namespace tf_hps {

// 1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 8, ...: a step of an equal limit stays empty.
const HitRateCurve::Limits& HitRateCurve::TheLimits() {
  static const Limits limits = [] {
    Limits made;
    for (int step = 0; step < kSteps; ++step) {
      made[step] = static_cast<uint64_t>(std::exp2(static_cast<double>(step) / kStepsAnOctave));
    }
    return made;
  }();
  return limits;
}

void HitRateCurve::Add(absl::Span<const ReuseDepth> depths, uint64_t repeats, int log2_of) {
  const Limits& limits = TheLimits();
  std::array<int64_t, kSteps> hits{}, lost{};  // lost: not watched any longer
  for (const ReuseDepth& depth : depths) {
    const uint64_t distance = uint64_t{depth.keys} << log2_of;
    const auto step = std::upper_bound(limits.begin(), limits.end(), distance) - limits.begin();
    ++(depth.is_first ? lost : hits)[std::min<size_t>(step, kSteps - 1)];
  }
  const uint64_t first = log2_of == 0 ? 0 : uint64_t{kMinDepth} << log2_of;
  hits[0] += static_cast<int64_t>(repeats);
  auto watched = static_cast<double>(depths.size() + repeats);
  for (int step = 0; step < kSteps && watched > 0; ++step) {
    const auto hit = static_cast<double>(hits[step]), left = static_cast<double>(lost[step]);
    const uint64_t begin = step == 0 ? 0 : limits[step - 1];
    if (begin >= first) {
      // Who leaves inside a step was watched for half of it.
      const double in_step = watched - left / 2;
      // Which keys were chosen is luck too, the more the fewer of them fit the capacity.
      const double weight =
          log2_of == 0 ? 1 : 1 / (1 + in_step / static_cast<double>(4 * (begin >> log2_of)));
      steps_[step].watched = steps_[step].watched * kKept + in_step * weight;
      steps_[step].hits = steps_[step].hits * kKept + hit * weight;
    }
    watched -= hit + left;
  }
}

std::vector<HitRateCurve::Point> HitRateCurve::Points() const {
  const Limits& limits = TheLimits();
  std::vector<Point> points;
  double misses = 1;
  const auto is_known = [&](int step) {
    return step < kSteps && steps_[step].watched >= kMinWatched * std::max(0.01, misses * misses);
  };
  for (int step = 0; is_known(step); ++step) {
    if (step == 0) points.push_back({0, 0});
    misses *= 1 - std::min(1.0, steps_[step].hits / steps_[step].watched);
    // Two an octave say enough.
    const auto capacity = static_cast<int64_t>(limits[step]);
    if (capacity > points.back().capacity && (step % 2 == 0 || !is_known(step + 1))) {
      points.push_back({capacity, 1 - misses});
    }
  }
  return points;
}

}  // namespace tf_hps
