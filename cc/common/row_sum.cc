#include "cc/common/row_sum.h"

#include "cc/common/row_sum_loop.h"

namespace tf_hps {

AddRows AddRowsPortable() {
  using FourFloats = float __attribute__((vector_size(16)));
  return &AddRowsWith<FourFloats>;
}

AddRows SelectAddRows(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return AddRowsAvx512();
    case CpuIsa::kAvx2:
      return AddRowsAvx2();
    case CpuIsa::kPortable:
      return AddRowsPortable();
  }
  return AddRowsPortable();
}

}  // namespace tf_hps
