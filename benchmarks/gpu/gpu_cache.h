#ifndef TF_HPS_BENCHMARKS_GPU_GPU_CACHE_H_
#define TF_HPS_BENCHMARKS_GPU_GPU_CACHE_H_

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "benchmarks/gpu/device.h"

namespace tf_hps {

struct BenchmarkSize {
  uint64_t rows;                  // of the tables that are held as a whole, a power of two
  std::vector<uint32_t> batches;  // keys a lookup
  size_t pool;                    // different keys asked for, in batches; a multiple of each
  size_t copy_bytes;
  size_t rounds;
  size_t miss_lookups;
  uint64_t policy_keys;  // a power of two; the cache holds a tenth
};

// One line of JSON a result, to be read by report.py.
class Result {
 public:
  explicit Result(const char* what) : text_("{\"what\": \"" + std::string(what) + "\"") {}
  ~Result() { std::printf("%s}\n", text_.c_str()), std::fflush(stdout); }
  Result& Add(const char* name, const char* value) {
    text_ += std::string(", \"") + name + "\": \"" + value + "\"";
    return *this;
  }
  Result& Add(const char* name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%.6g", value);
    text_ += std::string(", \"") + name + "\": " + digits;
    return *this;
  }
  // Median, lowest and highest.
  Result& Add(const char* name, std::vector<double> values) {
    std::sort(values.begin(), values.end());
    char digits[96];
    std::snprintf(digits, sizeof(digits), "[%.6g, %.6g, %.6g]", values[values.size() / 2],
                  values.front(), values.back());
    text_ += std::string(", \"") + name + "\": " + digits;
    return *this;
  }

 private:
  std::string text_;
};

void MeasureHits(const BenchmarkSize& size, Device* device);
void MeasureMisses(const BenchmarkSize& size, Device* device);
void MeasureTiers(const BenchmarkSize& size, Device* device);
void MeasurePolicies(const BenchmarkSize& size, Device* device);

}  // namespace tf_hps

#endif  // TF_HPS_BENCHMARKS_GPU_GPU_CACHE_H_
