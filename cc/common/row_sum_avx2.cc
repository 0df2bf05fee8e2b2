#include "cc/common/row_sum_loop.h"

namespace tf_hps {

#if defined(__AVX2__)
AddRows AddRowsAvx2() {
  using EightFloats = float __attribute__((vector_size(32)));
  return &AddRowsWith<EightFloats>;
}
#else  // Another architecture than x86.
AddRows AddRowsAvx2() { return AddRowsPortable(); }
#endif

}  // namespace tf_hps
