#ifndef TF_HPS_CC_COMMON_STAGE_TIMER_H_
#define TF_HPS_CC_COMMON_STAGE_TIMER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "cc/common/latency_histogram.h"

namespace tf_hps {

// Who draws spans for a profiler; the kernels set it, TensorFlow's profiler not being known here.
struct Profiler {
  // The id of a span that began, 0 where nobody profiles.
  int64_t (*begin)(absl::string_view stage, const std::string& table);
  void (*end)(int64_t id);
};

inline std::atomic<const Profiler*>& TheProfiler() {
  static std::atomic<const Profiler*> profiler{nullptr};
  return profiler;
}

// One stage of a lookup, from construction to destruction: a span for the profiler, and its length
// for a histogram.
class StageTimer {
 public:
  enum class Measure { kAlways, kSampled };

  // `histogram` outlives it. kSampled: two looks at the clock take 50 ns, too much for what takes a
  // microsecond; one call in 16, chosen at random, stands for the others.
  StageTimer(absl::string_view stage, const std::string& table, Measure measure,
             LatencyHistogram* histogram)
      : profiler_(TheProfiler().load(std::memory_order_acquire)),
        span_(profiler_ == nullptr ? 0 : profiler_->begin(stage, table)),
        histogram_(measure == Measure::kAlways || Chosen() ? histogram : nullptr) {
    if (histogram_ != nullptr) began_ = std::chrono::steady_clock::now();
  }
  ~StageTimer() {
    if (histogram_ != nullptr) histogram_->Add(std::chrono::steady_clock::now() - began_);
    if (span_ != 0) profiler_->end(span_);
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  // Not each 16th: a model asks its tables in turn, and some would never be measured.
  static bool Chosen() {
    thread_local uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (state >> 28) == 0;
  }

  const Profiler* const profiler_;
  const int64_t span_;
  LatencyHistogram* const histogram_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_STAGE_TIMER_H_
