#include <cstdlib>
#include <cstring>

#include "cc/common/row_codec.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tf_hps {
namespace {

#if defined(__x86_64__)
// __builtin_cpu_supports does not know these two in every compiler.
bool HasF16cAndLzcnt() {
  unsigned int a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1) != 0;
  return f16c && __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 5 & 1) != 0;
}

// Exactly what CMakeLists.txt lets the compiler use in the *_avx2.cc and *_avx512.cc files.
CpuIsa Detect() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    HasF16cAndLzcnt();
  if (!avx2) return CpuIsa::kPortable;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return avx512 ? CpuIsa::kAvx512 : CpuIsa::kAvx2;
}
#else
CpuIsa Detect() { return CpuIsa::kPortable; }
#endif

CpuIsa Limited(CpuIsa best) {
  const char* const limit = std::getenv("TF_HPS_CPU_ISA");
  if (limit == nullptr) return best;
  for (CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2}) {
    if (std::strcmp(limit, CpuIsaName(isa)) == 0) return isa < best ? isa : best;
  }
  return best;
}

}  // namespace

CpuIsa BestCpuIsa() {
  static const CpuIsa isa = Detect();
  return isa;
}

CpuIsa SelectedCpuIsa() {
  static const CpuIsa isa = Limited(BestCpuIsa());
  return isa;
}

const char* CpuIsaName(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return "avx512";
    case CpuIsa::kAvx2:
      return "avx2";
    case CpuIsa::kPortable:
      break;
  }
  return "portable";
}

}  // namespace tf_hps
