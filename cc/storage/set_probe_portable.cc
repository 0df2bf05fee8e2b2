#include "cc/storage/set_probe_pipeline.h"

namespace tf_hps {
namespace {

struct Portable {
  static uint32_t Match(const KeySet* set, Key key) {
    uint32_t match = 0;
    for (int way = 0; way < KeySet::kWays; ++way) {
      match |= (set->keys[way].load(std::memory_order_relaxed) == key ? 1u : 0u) << way;
    }
    return match;
  }

  static void Copy(const uint8_t* from, uint8_t* to, size_t bytes) {
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) __builtin_memcpy(to + i, from + i, 16);
    for (; i < bytes; ++i) to[i] = from[i];
  }
};

}  // namespace

SetProbeFunctions SetProbePortable() { return ProbesOf<Portable>(); }

SetProbeFunctions SelectSetProbe(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return SetProbeAvx512();
    case CpuIsa::kAvx2:
      return SetProbeAvx2();
    case CpuIsa::kPortable:
      break;
  }
  return SetProbePortable();
}

}  // namespace tf_hps
