#include "cc/common/key_choice.h"

namespace tf_hps {
namespace {

size_t Choose(const Key* keys, size_t n, const KeyChoice& choice, Key* chosen) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    chosen[count] = keys[i];
    count += choice.Has(keys[i]) ? 1 : 0;
  }
  return count;
}

}  // namespace

ChooseKeys ChooseKeysPortable() { return &Choose; }

ChooseKeys SelectChooseKeys(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return ChooseKeysAvx512();
    case CpuIsa::kAvx2:
      return ChooseKeysAvx2();
    case CpuIsa::kPortable:
      return ChooseKeysPortable();
  }
  return ChooseKeysPortable();
}

}  // namespace tf_hps
