// For an absl without absl/log, Debian 12's: a line goes to the standard error as it is.
#ifndef TF_HPS_BENCHMARKS_GPU_ABSL_LOG_LOG_H_
#define TF_HPS_BENCHMARKS_GPU_ABSL_LOG_LOG_H_

#include <iostream>

namespace tf_hps {

class LogLine {
 public:
  explicit LogLine(const char* severity) { std::cerr << severity << ": "; }
  ~LogLine() { std::cerr << "\n"; }
  std::ostream& stream() { return std::cerr; }
};

}  // namespace tf_hps

#define LOG(severity) ::tf_hps::LogLine(#severity).stream()

#endif  // TF_HPS_BENCHMARKS_GPU_ABSL_LOG_LOG_H_
