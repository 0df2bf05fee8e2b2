#ifndef TF_HPS_BENCHMARKS_CC_MEASURE_H_
#define TF_HPS_BENCHMARKS_CC_MEASURE_H_

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tf_hps {

// Of this thread: a busy machine lengthens it less than the clock on the wall.
inline double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

[[noreturn]] inline void Die(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_CC_MEASURE_H_
