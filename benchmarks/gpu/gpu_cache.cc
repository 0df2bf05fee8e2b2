// The GPU cache's figures; see benchmarks/gpu/README.md. Prints one line of JSON a result.
#include "benchmarks/gpu/gpu_cache.h"

#include <string>

namespace tf_hps {
namespace {

BenchmarkSize SizeOf(const std::string& name) {
  if (name == "full") {
    return {
        uint64_t{1} << 25, {1 << 16, 1 << 18, 1 << 20}, size_t{1} << 22, size_t{1} << 30, 31, 2000,
        uint64_t{1} << 20};
  }
  if (name == "small") {
    return {uint64_t{1} << 21, {1 << 16, 1 << 18}, size_t{1} << 20, size_t{1} << 28, 7, 200,
            uint64_t{1} << 16};
  }
  Check(absl::InvalidArgumentError("--size is small or full. Received: " + name));
  return {};
}

}  // namespace

int Main(const std::string& size_name, bool only_hits) {
  const BenchmarkSize size = SizeOf(size_name);
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "gpu_cache: CUDA finds no device\n");
    return 1;
  }
  cudaDeviceProp properties;
  int driver = 0;
  int runtime = 0;
  Check(cudaGetDeviceProperties(&properties, 0), "describe the device");
  Check(cudaDriverGetVersion(&driver), "read the driver's version");
  Check(cudaRuntimeGetVersion(&runtime), "read CUDA's version");
  Result("machine")
      .Add("device", properties.name)
      .Add("multiprocessors", properties.multiProcessorCount)
      .Add("memory_bytes", static_cast<double>(properties.totalGlobalMem))
      .Add("l2_bytes", properties.l2CacheSize)
      .Add("driver_knows_cuda", driver / 1000 + driver % 1000 / 10 * 0.1)
      .Add("built_with_cuda", runtime / 1000 + runtime % 1000 / 10 * 0.1);
  Device device;
  if (!only_hits) {
    MeasureMisses(size, &device);
    MeasureTiers(size, &device);
    MeasurePolicies(size, &device);
  }
  MeasureHits(size, &device);
  return 0;
}

}  // namespace tf_hps

// gpu_cache [small|full [hits]]
int main(int argc, char** argv) {
  return tf_hps::Main(argc > 1 ? argv[1] : "full", argc > 2 && std::string(argv[2]) == "hits");
}
